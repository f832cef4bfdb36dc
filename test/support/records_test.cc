#include "test/support/records.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "test/support/bad_records.h"

namespace strata::testing_support {
namespace {

uint64_t Fingerprint(const Shape& shape) {
  uint64_t hash = 14695981039346656037u;
  const RecordGenerator generator(shape);
  RecordSequence sequence(generator);
  for (Record record; sequence.Next(record);) {
    for (const char c : record.key + record.value)
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return hash;
}

// Figures of benches are of these bytes: who changes them measures something else, and says so
// here.
TEST(Records, AreTheSameOnEveryMachine) {
  Shape shape{.streams = 20,
              .images_per_stream = 10,
              .multi_arch = 0.3,
              .missing = 0.05,
              .conflicts = 0.05};
  const uint64_t first = Fingerprint(shape);
  EXPECT_EQ(first, 15711309907912900059u);
  shape.seed = 2;
  EXPECT_NE(Fingerprint(shape), first);
}

TEST(Records, OfAStreamDoNotDependOnTheOthers) {
  const RecordGenerator generator(Shape{.streams = 50});
  RecordSequence whole(generator), part(generator, 30, 40);
  Record a, b;
  int64_t streams = 0;
  while (streams < 30 && whole.Next(a)) streams += a.kind == RecordKind::kImageStream;
  while (part.Next(b)) {
    ASSERT_TRUE(whole.Next(a));
    EXPECT_EQ(a.key, b.key);
    EXPECT_EQ(a.value, b.value);
  }
}

TEST(Records, HaveTheCountsOfTheDataSets) {
  struct Case {
    Shape shape;
    size_t images, streams, layers;
  };
  Shape some_of_d = DataSetD();
  some_of_d.streams = 100;
  for (const Case& c : {Case{DataSetA(), 5'000, 1'000, 10}, Case{DataSetC(), 2'000, 1, 12},
                        Case{some_of_d, 2'000, 100, 10}}) {
    const RecordGenerator generator(c.shape);
    std::set<std::string> images, streams;
    for (int64_t i = 0; i < c.shape.streams; ++i) {
      const auto generated = generator.Generate(i);
      size_t named = 0;
      for (const Image& image : generated.images) {
        images.insert(image.metadata.name);
        ASSERT_EQ(image.layers.size(), c.layers);
      }
      for (const Tag& tag : generated.stream.tags) named += tag.items.size();
      EXPECT_EQ(named, generated.images.size());
      streams.insert(generated.stream.metadata.ns + "/" + generated.stream.metadata.name);
    }
    EXPECT_EQ(images.size(), c.images);
    EXPECT_EQ(streams.size(), c.streams);
  }
}

TEST(Records, ShareMostLayersAndHaveRealSizes) {
  const RecordGenerator generator(Shape{.streams = 200});
  std::map<std::string, int> uses;
  size_t references = 0, bytes = 0, images = 0;
  for (int64_t i = 0; i < 200; ++i) {
    for (const Image& image : generator.Generate(i).images) {
      for (const Layer& layer : image.layers) ++uses[layer.name];
      references += image.layers.size();
      bytes += ToRecord(image).value.size();
      ++images;
      EXPECT_GE(image.docker_metadata.size(), 1'700u);
      EXPECT_LE(image.docker_metadata.size(), 8'000u);
    }
  }
  EXPECT_LT(uses.size(), references / 2);
  EXPECT_GT(bytes / images, 3'000u);
  EXPECT_LT(bytes / images, 8'000u);
}

TEST(Records, HaveIndexesMissingImagesAndConflictsWhenAskedFor) {
  const RecordGenerator generator(Shape{
      .streams = 20, .images_per_stream = 10, .multi_arch = 0.5, .missing = 0.1, .conflicts = 0.2});
  size_t indexes = 0, missing = 0;
  std::map<std::string, std::set<std::string>> media_types;
  for (int64_t i = 0; i < 20; ++i) {
    const auto generated = generator.Generate(i);
    missing += generated.missing.size();
    for (const Image& image : generated.images) {
      if (!image.children.empty()) {
        EXPECT_EQ(image.children.size(), 4u);
        EXPECT_TRUE(image.layers.empty());
        ++indexes;
      }
      for (const Layer& layer : image.layers) media_types[layer.name].insert(layer.media_type);
    }
  }
  EXPECT_GT(indexes, 5u);
  EXPECT_GT(missing, 5u);
  EXPECT_GT(std::count_if(media_types.begin(), media_types.end(),
                          [](const auto& entry) { return entry.second.size() > 1; }),
            0);
}

// What protobuf reads and writes again: equal bytes mean that every field has the number and type
// of our .proto files.
template <typename M>
std::string Again(const std::string& bytes) {
  M message;
  if (!message.ParseFromString(bytes)) return "doesn't parse";
  std::string out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.DiscardUnknownFields();
    message.SerializeToCodedStream(&coded);
  }
  return out;
}

TEST(Records, AreOfOurProtoFiles) {
  namespace v1 = github::com::openshift::api::image::v1;
  const RecordGenerator generator(Shape{.streams = 10, .images_per_stream = 10, .multi_arch = 0.3});
  for (int64_t i = 0; i < 10; ++i) {
    const auto generated = generator.Generate(i);
    for (const Image& image : generated.images)
      ASSERT_EQ(Again<v1::Image>(ToProtobuf(image)), ToProtobuf(image));
    ASSERT_EQ(Again<v1::ImageStream>(ToProtobuf(generated.stream)), ToProtobuf(generated.stream));
  }
}

TEST(Records, AreWhatOurCodecReadsAndWrites) {
  namespace v1 = github::com::openshift::api::image::v1;
  const codec::TypeMeta image_type{.kind = "Image", .api_version = "image.openshift.io/v1"};
  const codec::TypeMeta stream_type{.kind = "ImageStream", .api_version = "image.openshift.io/v1"};
  const RecordGenerator generator(
      Shape{.streams = 10, .images_per_stream = 10, .multi_arch = 0.3, .with_manifest = 0.2});
  for (int64_t i = 0; i < 10; ++i) {
    const auto generated = generator.Generate(i);
    for (const Image& image : generated.images) {
      v1::Image message;
      ASSERT_TRUE(codec::DecodeJson(ToJson(image), message).ok());
      ASSERT_EQ(codec::EncodeJson(message, image_type), ToJson(image));
      message.mutable_docker_image_metadata()->mutable_raw()->push_back('\n');
      ASSERT_EQ(codec::EncodeProtobuf(message), ToProtobuf(image));
    }
    v1::ImageStream message;
    ASSERT_TRUE(codec::DecodeJson(ToJson(generated.stream), message).ok());
    ASSERT_EQ(codec::EncodeJson(message, stream_type), ToJson(generated.stream));
    ASSERT_EQ(codec::EncodeProtobuf(message), ToProtobuf(generated.stream));
  }
}

TEST(Records, AreBadInEveryKnownWay) {
  const RecordGenerator generator(Shape{.streams = 1});
  const auto generated = generator.Generate(0);
  for (const Record& good : {ToRecord(generated.images[0]), ToRecord(generated.stream)}) {
    std::set<std::string> values = {good.value};
    for (const Badness badness : kAllBadness) {
      const Record bad = MakeBad(good, badness);
      EXPECT_EQ(bad.key, good.key);
      EXPECT_TRUE(values.insert(bad.value).second) << NameOf(badness);
    }
  }
}

}  // namespace
}  // namespace strata::testing_support
