#include "server/layers/index.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "server/layers/records_fixture_test.h"

namespace strata::layers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class LayerIndex : public testing::Test {
 protected:
  LayerIndex() { index.BeginList(), index.EndList(1); }
  std::string Body(std::string_view name = "app") { return BodyOf(index, name); }
  bool Cached(std::string_view name = "app") {
    return index.Find("ns", name, {}).answer != nullptr;
  }

  std::vector<std::string> reports;
  Index index{{}, [this](const Change& change, std::string_view reason) {
                reports.push_back(std::string(change.name) + ": " + std::string(reason));
              }};
};

TEST_F(LayerIndex, AnswersWithBlobsAndImagesSortedAndTheStreamsRevision) {
  index.Apply(Changes()
                  .At(9)
                  .Image("i", ImageBytes({"b", "a"}, "c"))
                  .Stream("app", StreamBytes("app", {"i"}))
                  .all());
  EXPECT_EQ(
      Body(),
      R"({"kind":"ImageStreamLayers","apiVersion":"image.openshift.io/v1","metadata":{"name":"app","resourceVersion":"9"},)"
      R"("blobs":{"a":{"size":10,"mediaType":"layer"},"b":{"size":10,"mediaType":"layer"},)"
      R"("c":{"size":null,"mediaType":"application/vnd.docker.container.image.v1+json"},)"
      R"("i":{"size":null,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}},)"
      R"("images":{"i":{"imageMissing":false,"layers":["b","a"],"config":"c"}}})"
      "\n");
}

TEST_F(LayerIndex, AnEmptyStreamHasEmptyMapsAndAnUnknownOneIsNotFound) {
  index.Apply(Changes().Stream("app", StreamBytes("app", {})).all());
  EXPECT_THAT(Body(), HasSubstr(R"("blobs":{},"images":{})"));
  EXPECT_EQ(Body("other"), "<not found>");
}

TEST_F(LayerIndex, AnImageThatAppearsRefreshesTheAnswersThatLackedIt) {
  index.Apply(Changes()
                  .Stream("app", StreamBytes("app", {"i"}))
                  .Stream("other", StreamBytes("other", {"x"}))
                  .all());
  EXPECT_THAT(Body(), HasSubstr(R"("i":{"imageMissing":true,"layers":null,"config":null})"));
  Body("other");
  index.Apply(Changes().Image("i", ImageBytes({"a"})).all());
  EXPECT_FALSE(Cached());
  EXPECT_TRUE(Cached("other")) << "it doesn't use the image";
  EXPECT_THAT(Body(), HasSubstr(R"("layers":["a"])"));
}

TEST_F(LayerIndex, NamesTheChildrenOfImages) {
  index.Apply(Changes()
                  .Image("list", ListBytes({"y", "lists"}))
                  .Image("lists", ListBytes({"list", "x"}))
                  .all());
  EXPECT_THAT(index.WithChildren({"list", "gone", "list"}).value(),
              ElementsAre("gone", "list", "lists", "x", "y"));
  EXPECT_THAT(index.WithChildren({}).value(), ElementsAre());
}

TEST_F(LayerIndex, ChildrenOfAListAreFollowedAndRefreshItsUsers) {
  index.Apply(Changes()
                  .Image("list", ListBytes({"x", "y", "x"}))
                  .Stream("app", StreamBytes("app", {"list"}))
                  .all());
  EXPECT_THAT(
      Body(),
      HasSubstr(
          R"("list":{"imageMissing":false,"layers":null,"config":null,"manifests":["x","y","x"]})"));
  EXPECT_THAT(Body(), HasSubstr(R"("x":{"imageMissing":true)"));
  index.Apply(Changes().Image("x", ImageBytes({"a"})).all());
  EXPECT_THAT(Body(), HasSubstr(R"("x":{"imageMissing":false,"layers":["a"])"));
  index.Apply(Changes().Image("list", ListBytes({"y"})).all());
  EXPECT_THAT(Body(), Not(HasSubstr(R"("x":)")));
}

TEST_F(LayerIndex, CyclesOfListsEnd) {
  index.Apply(Changes()
                  .Image("a", ListBytes({"b", "a"}))
                  .Image("b", ListBytes({"a"}))
                  .Stream("app", StreamBytes("app", {"b"}))
                  .all());
  EXPECT_THAT(Body(), HasSubstr(R"("images":{"a":{"imageMissing":false)"));
}

TEST_F(LayerIndex, TheFirstImageInStoredOrderDecidesABlob) {
  image_v1::Image other;
  auto* layer = other.add_docker_image_layers();
  layer->set_name("shared");
  layer->set_size(99);
  layer->set_media_type("other");
  index.Apply(Changes()
                  .Image("z", ImageBytes({"shared"}))
                  .Image("a", codec::EncodeProtobuf(other))
                  .Stream("app", StreamBytes("app", {"z", "a"}))
                  .all());
  EXPECT_THAT(Body(), HasSubstr(R"("shared":{"size":10,"mediaType":"layer"})"));
}

TEST_F(LayerIndex, ADeletedImageIsMissingAndADeletedStreamNotFound) {
  index.Apply(
      Changes().Image("i", ImageBytes({"a"})).Stream("app", StreamBytes("app", {"i"})).all());
  Body();
  index.Apply(Changes().Delete(Change::Kind::kImage, "i").all());
  EXPECT_THAT(Body(), HasSubstr(R"("imageMissing":true)"));
  index.Apply(Changes().Delete(Change::Kind::kImageStream, "app").all());
  EXPECT_EQ(Body(), "<not found>");
  EXPECT_EQ(index.stats().names, 3u) << "only the well-known names are left";
}

TEST_F(LayerIndex, AnUnreadableImageIsMissingWithAWarningAndHurtsNobodyElse) {
  index.Apply(Changes()
                  .Unreadable(Change::Kind::kImage, "bad", "encrypted")
                  .Image("torn", "\x0a\xff")
                  .Image("good", ImageBytes({"a"}))
                  .Stream("app", StreamBytes("app", {"bad", "torn", "good"}))
                  .all());
  EXPECT_THAT(Body(), HasSubstr(R"("bad":{"imageMissing":true,"layers":null,"config":null})"));
  EXPECT_THAT(Body(), HasSubstr(R"("good":{"imageMissing":false)"));
  EXPECT_THAT(WarningsOf(index, "app"),
              ElementsAre("image bad: record unreadable: encrypted",
                          "image torn: record unreadable: malformed protobuf in Image"));
  EXPECT_THAT(reports, ElementsAre("bad: encrypted", "torn: malformed protobuf in Image"));
  EXPECT_EQ(index.stats().unreadable_images, 2u);
  index.Apply(Changes().Image("bad", ImageBytes({"b"})).Delete(Change::Kind::kImage, "torn").all());
  EXPECT_EQ(index.stats().unreadable_images, 0u);
  EXPECT_THAT(Body(), HasSubstr(R"("bad":{"imageMissing":false)"));
}

TEST_F(LayerIndex, AnUnreadableRecordIsReportedOnceUntilItChanges) {
  const auto bad = [](const char* why) {
    Changes changes;
    changes.Unreadable(Change::Kind::kImage, "i", why);
    changes.Unreadable(Change::Kind::kImageStream, "s", why);
    return changes;
  };
  index.Apply(bad("torn").all());
  index.BeginList();
  index.AddToList(bad("torn").all());
  index.EndList(1);
  index.Apply(bad("torn").all());
  EXPECT_THAT(reports, ElementsAre("i: torn", "s: torn"));
  index.Apply(bad("encrypted").all());
  EXPECT_EQ(reports.size(), 4u);
}

TEST_F(LayerIndex, AnUnreadableStreamSaysWhy) {
  index.Apply(Changes()
                  .Unreadable(Change::Kind::kImageStream, "app", "encrypted")
                  .Stream("torn", "\x0a")
                  .all());
  EXPECT_EQ(Body(), "<unreadable: encrypted>");
  EXPECT_EQ(Body("torn"), "<unreadable: malformed protobuf in ImageStream>");
}

TEST_F(LayerIndex, OddImagesAreAnsweredWithWarnings) {
  index.Apply(Changes()
                  .Image("no-id", ImageBytes({"a"}, ""))
                  .Image("unnamed", ImageBytes({"a", "", "b"}))
                  .Stream("app", StreamBytes("app", {"no-id", "unnamed"}))
                  .all());
  EXPECT_THAT(Body(), HasSubstr(R"("no-id":{"imageMissing":false,"layers":["a"],"config":null})"));
  EXPECT_THAT(
      Body(),
      HasSubstr(R"("unnamed":{"imageMissing":false,"layers":["a","b"],"config":"sha256:config"})"));
  EXPECT_THAT(WarningsOf(index, "app"),
              ElementsAre("image no-id: its metadata has no config digest, so config is null",
                          "image unnamed: layers or manifests without a name were left out"));
}

TEST_F(LayerIndex, WarningsAreFewAndThenCounted) {
  Changes changes;
  std::vector<std::string> names;
  for (int i = 0; i < 9; ++i)
    changes.Unreadable(Change::Kind::kImage, names.emplace_back(std::to_string(i)), "x\ny");
  index.Apply(changes.Stream("app", StreamBytes("app", names)).all());
  const auto warnings = WarningsOf(index, "app");
  ASSERT_EQ(warnings.size(), 6u);
  EXPECT_EQ(warnings[0], "image 0: record unreadable: x?y");
  EXPECT_EQ(warnings[5], "4 more images have such problems");
}

TEST_F(LayerIndex, AListReplacesEverythingAtOnceAndIsInvisibleBefore) {
  index.Apply(
      Changes().Image("i", ImageBytes({"a"})).Stream("old", StreamBytes("old", {"i"})).all());
  index.BeginList();
  index.AddToList(
      Changes().Image("i", ImageBytes({"b"})).Stream("new", StreamBytes("new", {"i"})).all());
  EXPECT_THAT(Body("old"), HasSubstr(R"("layers":["a"])"));
  EXPECT_EQ(Body("new"), "<not found>");
  index.EndList(1);
  EXPECT_EQ(Body("old"), "<not found>");
  EXPECT_THAT(Body("new"), HasSubstr(R"("layers":["b"])"));
  index.BeginList();
  index.AddToList(Changes().Image("i", ImageBytes({"c"})).all());
  index.AbortList();
  EXPECT_THAT(Body("new"), HasSubstr(R"("layers":["b"])"));
}

TEST_F(LayerIndex, AnAnswerBuiltFromWhatHasChangedMeanwhileIsNotKept) {
  index.Apply(Changes().Stream("app", StreamBytes("app", {"i"})).all());
  const Lookup lookup = index.Find("ns", "app", {});
  index.Apply(Changes().Image("i", ImageBytes({"a"})).all());
  const auto built = index.Build(lookup.gathered, {});
  EXPECT_THAT((*built)->body, HasSubstr(R"("imageMissing":true)"))
      << "it is of the revision of its look-up";
  EXPECT_FALSE(Cached());
}

TEST_F(LayerIndex, PartialObjectMetadataHasTheMetadataAlone) {
  index.Apply(Changes().Stream("app", StreamBytes("app", {"i"})).all());
  EXPECT_EQ(BodyOf(index, "app", {{.transform = wire::Transform::kPartialObjectMetadata}}),
            "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","
            "\"metadata\":{\"name\":\"app\",\"resourceVersion\":\"7\"}}\n");
}

TEST_F(LayerIndex, LargeBodiesAreCompressedWhenAskedFor) {
  std::vector<std::string> layers;
  for (int i = 0; i < 3000; ++i) layers.push_back("layer-" + std::to_string(i));
  index.Apply(Changes()
                  .Image("i", ImageBytes(layers))
                  .Stream("app", StreamBytes("app", {"i"}))
                  .Stream("small", StreamBytes("small", {}))
                  .all());
  const Form gzip{{}, true};
  EXPECT_LT(BodyOf(index, "app", gzip).size(), Body().size() / 4);
  EXPECT_TRUE(index.Find("ns", "app", gzip).answer->gzipped);
  EXPECT_EQ(BodyOf(index, "small", gzip), Body("small"));
  EXPECT_FALSE(index.Find("ns", "small", gzip).answer->gzipped);
}

TEST_F(LayerIndex, ALayersSizeMayBeAnything) {
  image_v1::Image image;
  for (const int64_t size : {int64_t{0}, int64_t{-5}, int64_t{9'000'000'000}}) {
    auto* layer = image.add_docker_image_layers();
    layer->set_name(fmt::format("l{}", size));
    layer->set_size(size);
  }
  index.Apply(Changes()
                  .Image("i", codec::EncodeProtobuf(image))
                  .Stream("app", StreamBytes("app", {"i"}))
                  .all());
  EXPECT_THAT(Body(),
              HasSubstr(R"("l-5":{"size":-5,"mediaType":""},"l0":{"size":0,"mediaType":""},)"
                        R"("l9000000000":{"size":9000000000,"mediaType":""})"));
}

TEST_F(LayerIndex, AnAnswerThatSomebodyElseBuiltMeanwhileIsTaken) {
  index.Apply(Changes().Stream("app", StreamBytes("app", {"i"})).all());
  const Lookup first = index.Find("ns", "app", {}), second = index.Find("ns", "app", {});
  EXPECT_EQ(*index.Build(first.gathered, {}), *index.Build(second.gathered, {}));
}

TEST_F(LayerIndex, AListThatIsBegunAgainForgetsWhatItHad) {
  index.BeginList();
  index.AddToList(Changes().Image("i", ImageBytes({"a"})).all());
  index.BeginList();
  index.AddToList(Changes().Stream("app", StreamBytes("app", {"i"})).all());
  index.EndList(1);
  EXPECT_THAT(Body(), HasSubstr(R"("i":{"imageMissing":true)"));
  EXPECT_EQ(index.stats().names, 3u + 1u);
}

TEST_F(LayerIndex, ARecordTwiceInAListCountsAsTheLast) {
  index.BeginList();
  index.AddToList(
      Changes().Image("i", ImageBytes({"a"})).Stream("app", StreamBytes("app", {})).all());
  index.AddToList(
      Changes().Image("i", ImageBytes({"b"})).Stream("app", StreamBytes("app", {"i"})).all());
  index.AddToList(Changes().Unreadable(Change::Kind::kImage, "j", "").all());
  index.EndList(1);
  EXPECT_THAT(Body(), HasSubstr(R"("layers":["b"])"));
  EXPECT_EQ(index.stats().unreadable_images, 1u) << "also when nobody says why";
}

// More than an io thread builds: of `images` images with `layers` layers each.
Changes LargeStream(int images, int layers, const std::string& name = "app") {
  Changes changes;
  std::vector<std::string> names;
  for (int i = 0; i < images; ++i) {
    std::vector<std::string> of_image;
    for (int l = 0; l < layers; ++l) of_image.push_back(fmt::format("l{}-{}", i, l));
    names.push_back(fmt::format("i{}", i));
    changes.Image(names.back(), ImageBytes(of_image));
  }
  changes.Stream(name, StreamBytes(name, names));
  return changes;
}

TEST_F(LayerIndex, WhatIsLargeIsLeftToAWorker) {
  using Result = Lookup::Result;
  const auto result = [&](const char* name, const Form& form = {}) {
    return index.Find("ns", name, form).result;
  };
  index.Apply(LargeStream(5, 10, "usual").all());
  EXPECT_EQ(result("usual"), Result::kSmall);
  EXPECT_EQ(result("usual", {{wire::MediaType::kYaml}}), Result::kLarge);
  index.Apply(LargeStream(20, 1, "images").all());
  EXPECT_EQ(result("images"), Result::kLarge);
  EXPECT_EQ(index.Find("ns", "images", {}).images, 20u);
  index.Apply(LargeStream(1, 1000, "layers").all());
  EXPECT_EQ(result("layers"), Result::kLarge);
  // Few records, but long ones.
  const std::string long_text(100'000, 'x');
  image_v1::ImageStream stream;
  stream.mutable_metadata()->set_name("metadata");
  (*stream.mutable_metadata()->mutable_annotations())["a"] = long_text;
  index.Apply(Changes()
                  .Image("i", ImageBytes({"a"}, "c", long_text))
                  .Stream("types", StreamBytes("types", {"i"}))
                  .Stream("names", StreamBytes("names", {long_text}))
                  .Stream("metadata", codec::EncodeProtobuf(stream))
                  .Image("list", ListBytes({long_text}))
                  .Stream("children", StreamBytes("children", {"list"}))
                  .all());
  for (const char* name : {"types", "names", "metadata", "children"})
    EXPECT_EQ(result(name), Result::kLarge) << name;
}

TEST_F(LayerIndex, AnAnswerThatIsMadeIsKeptAndGoesWithAnyOfItsImages) {
  index.Apply(LargeStream(3000, 2).all());
  const std::string body = Body();
  EXPECT_THAT(body, HasSubstr(R"("i2999":{"imageMissing":false)"));
  EXPECT_TRUE(Cached());
  index.Apply(Changes().Image("unrelated", ImageBytes({"a"})).all());
  EXPECT_TRUE(Cached());
  index.Apply(Changes().Image("i1234", ImageBytes({"other"})).all());
  EXPECT_FALSE(Cached());
  EXPECT_THAT(Body(), HasSubstr(R"("i1234":{"imageMissing":false,"layers":["other"])"));
}

TEST_F(LayerIndex, AnAnswerThatNobodyWaitsForIsNotMade) {
  index.Apply(LargeStream(3000, 2).all());
  std::stop_source stop;
  stop.request_stop();
  for (const wire::MediaType type :
       {wire::MediaType::kJson, wire::MediaType::kProtobuf, wire::MediaType::kYaml}) {
    Assembly assembly("ns", "app", {{type}});
    EXPECT_EQ(index.Make(assembly, stop.get_token()).status().code(), base::StatusCode::kCancelled);
    EXPECT_FALSE(assembly.is_open());
  }
}

TEST_F(LayerIndex, AnAssemblyIsOpenToOthersUntilItIsMade) {
  index.Apply(LargeStream(300, 2).all());
  Assembly assembly("ns", "app", {});
  EXPECT_TRUE(assembly.is_open());
  EXPECT_TRUE(index.Make(assembly, {}).ok());
  EXPECT_FALSE(assembly.is_open());
  Assembly none("ns", "none", {});
  EXPECT_EQ(index.Make(none, {}).status().code(), base::StatusCode::kNotFound);
}

TEST_F(LayerIndex, AnAssemblyIsClosedBeforeAnybodyIsGivenItsAnswer) {
  index.Apply(LargeStream(30'000, 1).all());
  Assembly assembly("ns", "app", {});
  std::atomic<bool> was_open = false;
  std::thread reader([&] {
    while (!Cached()) std::this_thread::yield();
    was_open = assembly.is_open();
  });
  EXPECT_TRUE(index.Make(assembly, {}).ok());
  reader.join();
  EXPECT_FALSE(was_open);
}

TEST(LayerIndexBounds, AStreamThatReachesTooMuchIsAnError) {
  Index index({.max_entries_per_answer = 4}, {});
  index.Apply(Changes()
                  .Image("list", ListBytes({"x", "x", "x"}))
                  .Image("layers", ImageBytes({"a", "a", "a"}))
                  .Stream("fits", StreamBytes("fits", {"list"}))
                  .Stream("lists", StreamBytes("lists", {"list", "layers"}))
                  .Stream("names", StreamBytes("names", {"1", "2", "3", "4", "5"}))
                  .all());
  EXPECT_THAT(BodyOf(index, "fits"), HasSubstr("ImageStreamLayers"));
  for (const char* name : {"lists", "names"}) {
    EXPECT_EQ(BodyOf(index, name),
              "<unreadable: the stream reaches more than 4 images and layers>");
  }
}

TEST(LayerIndexBounds, ThatAStreamReachesTooMuchIsRememberedUntilAnythingOfItChanges) {
  Index index({.max_entries_per_answer = 4000}, {});
  const auto remembered = [&] {
    return index.Find("ns", "app", {}).result == Lookup::Result::kUnreadable;
  };
  for (const int images : {1500, 30}) {
    index.Apply(LargeStream(images, images == 30 ? 150 : 2).all());
    EXPECT_FALSE(remembered());
    EXPECT_EQ(BodyOf(index, "app"),
              "<unreadable: the stream reaches more than 4000 images and layers>");
    EXPECT_TRUE(remembered());
    EXPECT_EQ(BodyOf(index, "app", {{wire::MediaType::kProtobuf}}),
              "<unreadable: the stream reaches more than 4000 images and layers>");
    index.Apply(Changes().Image("unrelated", ImageBytes({"a"})).all());
    EXPECT_TRUE(remembered());
    index.Apply(Changes().Image("i3", ImageBytes({"a"})).all());
    EXPECT_FALSE(remembered());
    BodyOf(index, "app");
    index.Apply(Changes().Stream("app", StreamBytes("app", {"i1"})).all());
    EXPECT_FALSE(remembered());
    EXPECT_THAT(BodyOf(index, "app"), HasSubstr("ImageStreamLayers"));
  }
}

}  // namespace
}  // namespace strata::layers
