#include "server/layers/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/layers/records_fixture_test.h"

namespace strata::layers {
namespace {

std::string ConfigOf(const std::string& metadata,
                     const std::string& media_type = std::string(kDockerManifest)) {
  image_v1::Image image;
  image.set_docker_image_manifest_media_type(media_type);
  image.mutable_docker_image_metadata()->set_raw(metadata);
  const std::string bytes = codec::EncodeProtobuf(image);
  const auto record = DecodeImage(bytes);
  if (!record.ok()) return "error";
  return record->has_config ? record->config : "none";
}

TEST(Record, TheConfigIsTheMetadatasIdWhereTheMediaTypeHasOne) {
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})", std::string(kOciManifest)), "x");
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})", ""), "none");
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})", "application/vnd.docker.distribution.manifest.v1+json"),
            "none");
  EXPECT_EQ(ConfigOf(R"({"ID":"x"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"id":"x"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"id":"a","Id":"x","ID":"b"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"kind":"DockerImage","apiVersion":"image.openshift.io/pre012","id":"x",)"
                     R"("created":null,"container_config":{}})"),
            "x");
  for (const char* bad :
       {"", "null", "[]", "{", R"({"Id":5})", R"({"Config":{"Id":"x"}})", "not JSON"}) {
    EXPECT_EQ(ConfigOf(bad), "") << bad;
  }
}

TEST(Record, AnEmptyMediaTypeMeansDockerSchema2WithoutAConfig) {
  const auto record = DecodeImage(codec::EncodeProtobuf(image_v1::Image()));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->media_type, kDockerManifest);
  EXPECT_FALSE(record->has_config);
}

TEST(Record, StreamsNameEachImageOnceInStoredOrder) {
  const std::string bytes = StreamBytes("app", {"b", "", "a", "b", "c"});
  const auto record = DecodeStream(bytes);
  ASSERT_TRUE(record.ok());
  EXPECT_THAT(record->images, testing::ElementsAre("b", "a", "c"));
}

// What is cut between two fields has fewer of them, as protobuf's own parser reads it; what is cut
// within one is refused.
TEST(Record, EveryTruncationIsReadOrRefusedAndNeverMore) {
  for (const std::string& whole : {ImageBytes({"a", "b"}), ListBytes({"x", "y"})}) {
    size_t read = 0;
    for (size_t size = 0; size <= whole.size(); ++size) {
      const std::string cut(whole, 0, size);
      image_v1::Image expected;
      const auto record = DecodeImage(cut);
      ASSERT_EQ(record.ok(), expected.ParseFromString(cut)) << size << " of " << whole.size();
      if (!record.ok()) continue;
      ++read;
      std::vector<std::string_view> layers, names, manifests;
      for (const auto& layer : record->layers) layers.push_back(layer.name);
      for (const auto& layer : expected.docker_image_layers()) names.push_back(layer.name());
      for (const auto& list : expected.docker_image_manifests()) manifests.push_back(list.digest());
      EXPECT_EQ(layers, names) << size;
      EXPECT_EQ(record->manifests, manifests) << size;
    }
    EXPECT_LT(read, whole.size() / 4) << "most are cut within a field";
  }
  const std::string whole = StreamBytes("app", {"i", "j"});
  for (size_t size = 0; size <= whole.size(); ++size) {
    const std::string cut(whole, 0, size);
    image_v1::ImageStream expected;
    const auto record = DecodeStream(cut);
    ASSERT_EQ(record.ok(), expected.ParseFromString(cut)) << size << " of " << whole.size();
    if (!record.ok()) continue;
    std::vector<std::string_view> images;
    for (const auto& tag : expected.status().tags())
      for (const auto& item : tag.items()) images.push_back(item.image());
    EXPECT_EQ(record->images, images) << size;
  }
}

TEST(Record, MalformedBytesAreErrors) {
  const struct {
    std::string_view bytes;
  } kCases[] = {
      {"\x0a"},  // no length
      {"\x0a\x05"
       "ab"},                                                // length beyond the end
      {"\x0b"},                                              // a group
      {std::string_view("\x00\x00", 2)},                     // field 0
      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},  // a varint without end
      {"\x08\x01"},                                          // metadata that isn't a message
      {"\x32\x02\x0a\x09"},                                  // a layer that is cut
      {"\x1a\x02\x0a\x09"},                                  // a status, or metadata, that is cut
  };
  for (const auto& c : kCases) {
    EXPECT_FALSE(DecodeImage(c.bytes).ok());
    EXPECT_TRUE(c.bytes[0] == 0x32 || !DecodeStream(c.bytes).ok());
  }
}

}  // namespace
}  // namespace strata::layers
