#include "lib/image/presentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"

namespace strata::image {
namespace {

using ::github::com::openshift::api::image::v1::ImageStream;

constexpr const char* kMeta = R"("metadata":{"name":"app","namespace":"ns"})";

std::string Presented(const std::string& record, const RegistryHostnames& registry = {}) {
  ImageStream stream;
  EXPECT_TRUE(codec::DecodeJson(record, stream).ok()) << record;
  Present(registry, 42, stream);
  return codec::EncodeJson(stream);
}

std::string Stored(const std::string& spec, const std::string& status = "{}") {
  return std::string("{") + kMeta + R"(,"spec":)" + spec + R"(,"status":)" + status + "}";
}

TEST(ImageStreams, AreShownAtTheirRevisionWithTheDefaultsOfV1) {
  EXPECT_EQ(
      Presented(Stored(R"({"tags":[{"name":"a","from":{"kind":"DockerImage","name":"x/y"}}]})")),
      R"({"metadata":{"name":"app","namespace":"ns","resourceVersion":"42"},)"
      R"("spec":{"lookupPolicy":{"local":false},"tags":[{"name":"a","annotations":null,)"
      R"("from":{"kind":"DockerImage","name":"x/y"},"generation":null,)"
      R"("importPolicy":{"importMode":"Legacy"},"referencePolicy":{"type":"Source"}}]},)"
      R"("status":{"dockerImageRepository":""}})");
  EXPECT_EQ(Presented("{}"),
            R"({"metadata":{"resourceVersion":"42"},)"
            R"("spec":{"lookupPolicy":{"local":false}},"status":{"dockerImageRepository":""}})");
  EXPECT_THAT(Presented(Stored(R"({"tags":[{"name":"a","importPolicy":)"
                               R"({"importMode":"PreserveOriginal"},"referencePolicy":)"
                               R"({"type":"Local"}}]})")),
              testing::HasSubstr(R"("importPolicy":{"importMode":"PreserveOriginal"},)"
                                 R"("referencePolicy":{"type":"Local"})"));
}

TEST(ImageStreams, KeepTheRevisionThatTheySayThemselves) {
  EXPECT_THAT(Presented(R"({"metadata":{"resourceVersion":"7"}})"),
              testing::HasSubstr(R"("resourceVersion":"7")"));
}

TEST(ImageStreams, HaveEachTagOnceAndInOrderOfNames) {
  const auto names = [](const std::string& list) {
    const std::string tags = Presented(Stored(R"({"tags":)" + list + "}"));
    std::string found;
    for (size_t at = tags.find("tags"); (at = tags.find(R"({"name":")", at)) != std::string::npos;
         ++at)
      found += tags.substr(at + 9, 1);
    return found;
  };
  EXPECT_EQ(names(R"([{"name":"c"},{"name":"a"},{"name":"b"}])"), "abc");
  EXPECT_EQ(names(R"([{"name":"b"},{"name":"a"},{"name":"b"},{"name":"a"}])"), "ab");
  const std::string last = Presented(
      Stored(R"({"tags":[{"name":"a","generation":1},{"name":"b"},{"name":"a","generation":2}]})",
             R"({"tags":[{"tag":"z","items":null},{"tag":"y","items":null},)"
             R"({"tag":"z","items":[{"dockerImageReference":"d","image":"i"}]}]})"));
  EXPECT_THAT(last, testing::HasSubstr(R"("generation":2)"));
  EXPECT_THAT(last, testing::Not(testing::HasSubstr(R"("generation":1)")));
  EXPECT_THAT(last,
              testing::HasSubstr(R"("tags":[{"tag":"y","items":null},{"tag":"z","items":[{)"));
}

TEST(ImageStreams, NameTheRegistrysRepositories) {
  const std::string imported = Stored(R"({"dockerImageRepository":"quay.io/a/b"})",
                                      R"({"dockerImageRepository":"old/ns/app"})");
  EXPECT_THAT(Presented(imported),
              testing::HasSubstr(R"("status":{"dockerImageRepository":"quay.io/a/b"})"));
  EXPECT_THAT(
      Presented(imported, {"registry.svc:5000", "registry.example.com"}),
      testing::HasSubstr(R"("status":{"dockerImageRepository":"registry.svc:5000/ns/app",)"
                         R"("publicDockerImageRepository":"registry.example.com/ns/app"})"));
}

}  // namespace
}  // namespace strata::image
