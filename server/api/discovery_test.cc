#include "server/api/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace strata::api {
namespace {

std::string Golden(const std::string& path) {
  std::ifstream file("test/golden/discovery/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Discovery, TheGroupIsTheReferences) {
  const Discovery discovery(ServedResources());
  EXPECT_EQ(*discovery.Answer("/apis/image.openshift.io", {}).body, Golden("group.json"));
  EXPECT_EQ(
      *discovery
           .Answer(
               "/apis/image.openshift.io",
               {.accept = "application/vnd.kubernetes.protobuf", .user_agent = {}, .pretty = {}})
           .body,
      Golden("group-pb.pb"));
}

TEST(Discovery, EveryServedResourceStandsInTheReferencesListAsItIs) {
  const Discovery discovery(ServedResources());
  const std::string ours = *discovery.Answer("/apis/image.openshift.io/v1", {}).body;
  EXPECT_TRUE(ours.starts_with(
      R"({"kind":"APIResourceList","apiVersion":"v1","groupVersion":"image.openshift.io/v1","resources":[)"));
  const size_t first = ours.find("[{") + 1;
  const std::string entry = ours.substr(first, ours.find("}]") + 1 - first);
  EXPECT_THAT(Golden("groupversion.json"), testing::HasSubstr(entry));
}

// The whole registry of the reference, though most of it isn't served: what a Resource can say is
// enough for all of it.
TEST(Discovery, TheReferencesResourcesGiveTheReferencesDocument) {
  const std::vector<std::string> all = {"create", "delete", "deletecollection", "get",
                                        "list",   "patch",  "update",           "watch"};
  const std::vector<std::string> tags = {"create", "delete", "get", "list", "patch", "update"};
  const Discovery discovery({
      {"images", "image", false, "Image", all, {}, {}, "FX/i8Tt+3Fc="},
      {"imagesignatures", "imagesignature", false, "ImageSignature", {"create", "delete"}},
      {"imagestreamimages", "imagestreamimage", true, "ImageStreamImage", {"get"}, {"isimage"}},
      {"imagestreamimports", "imagestreamimport", true, "ImageStreamImport", {"create"}},
      {"imagestreammappings", "imagestreammapping", true, "ImageStreamMapping", {"create"}},
      {"imagestreams", "imagestream", true, "ImageStream", all, {"is"}, {"all"}, "mwmf9lCqOiA="},
      {"imagestreams/layers", "", true, "ImageStreamLayers", {"get"}},
      {"imagestreams/secrets", "", true, "SecretList", {"get"}},
      {"imagestreams/status", "", true, "ImageStream", {"get", "patch", "update"}},
      {"imagestreamtags", "imagestreamtag", true, "ImageStreamTag", tags, {"istag"}},
      {"imagetags", "imagetag", true, "ImageTag", tags, {"itag"}},
  });
  EXPECT_EQ(*discovery.Answer("/apis/image.openshift.io/v1", {}).body, Golden("groupversion.json"));
}

TEST(Discovery, TheGroupListNamesTheGroup) {
  EXPECT_THAT(*Discovery(ServedResources()).Answer("/apis", {}).body,
              testing::StartsWith(
                  R"({"kind":"APIGroupList","groups":[{"name":"image.openshift.io","versions":[)"));
}

}  // namespace
}  // namespace strata::api
