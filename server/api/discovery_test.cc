#include "server/api/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "server/registry/image_v1.h"

namespace strata::api {
namespace {

constexpr const char* kV2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

std::string Golden(const std::string& path) {
  std::ifstream file("test/golden/discovery/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Discovery, TheGroupIsTheReferences) {
  const Discovery discovery({&registry::ImageV1()});
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
  const Discovery discovery({&registry::ImageV1()});
  const std::string ours = *discovery.Answer("/apis/image.openshift.io/v1", {}).body;
  EXPECT_TRUE(ours.starts_with(
      R"({"kind":"APIResourceList","apiVersion":"v1","groupVersion":"image.openshift.io/v1","resources":[)"));
  // But for verbs that aren't served.
  const std::string theirs = Golden("groupversion.json");
  for (const registry::Resource& resource : registry::ImageV1().resources()) {
    if (resource.verbs.empty()) {
      EXPECT_THAT(ours, testing::Not(testing::HasSubstr('"' + resource.name + '"')));
      continue;
    }
    std::string verbs;
    const auto entry = [&](const std::string& document) {
      const size_t at = document.find(R"({"name":")" + resource.name + '"');
      std::string text = document.substr(at, document.find('}', at) - at);
      const size_t start = text.find(R"("verbs":)"), end = text.find(']', start) + 1;
      verbs = text.substr(start, end - start);
      text.erase(start, end - start);
      return text;
    };
    EXPECT_EQ(entry(ours), entry(theirs)) << resource.name;
    for (const std::string& verb : resource.verbs)
      EXPECT_THAT(verbs, testing::HasSubstr('"' + verb + '"')) << resource.name;
  }
}

TEST(Discovery, SecretsAreNamedAsTheReferenceNamesThemWhereTheyAreServed) {
  const Discovery discovery({&registry::ImageV1WithSecrets()});
  const std::string entry =
      R"({"name":"imagestreams/secrets","singularName":"","namespaced":true,"kind":"SecretList",)"
      R"("verbs":["get"]},{"name":"imagestreams/status")";
  EXPECT_THAT(*discovery.Answer("/apis/image.openshift.io/v1", {}).body, testing::HasSubstr(entry));
  EXPECT_THAT(Golden("groupversion.json"), testing::HasSubstr(entry));
}

TEST(Discovery, WhereLayersAloneAreServedNothingElseIsNamed) {
  const Discovery discovery({&registry::ImageV1LayersAlone()});
  EXPECT_EQ(*discovery.Answer("/apis/image.openshift.io/v1", {}).body,
            R"({"kind":"APIResourceList","apiVersion":"v1","groupVersion":"image.openshift.io/v1",)"
            R"("resources":[{"name":"imagestreams","singularName":"imagestream","namespaced":true,)"
            R"("kind":"ImageStream","verbs":[],"shortNames":["is"],)"
            R"("storageVersionHash":"mwmf9lCqOiA="},)"
            R"({"name":"imagestreams/layers","singularName":"","namespaced":true,)"
            R"("kind":"ImageStreamLayers","verbs":["get"]}]})"
            "\n");
}

// The whole registry of the reference, though most of it isn't served: what a Resource can say is
// enough for all of it.
TEST(Discovery, TheReferencesResourcesGiveTheReferencesDocument) {
  const std::vector<std::string> all = {"create", "delete", "deletecollection", "get",
                                        "list",   "patch",  "update",           "watch"};
  const std::vector<std::string> tags = {"create", "delete", "get", "list", "patch", "update"};
  const registry::Group group(
      "image.openshift.io", "v1", "image",
      {
          {.name = "images",
           .singular = "image",
           .kind = "Image",
           .namespaced = false,
           .verbs = all,
           .stored = true},
          {.name = "imagesignatures",
           .singular = "imagesignature",
           .kind = "ImageSignature",
           .namespaced = false,
           .verbs = {"create", "delete"}},
          {.name = "imagestreamimages",
           .singular = "imagestreamimage",
           .kind = "ImageStreamImage",
           .verbs = {"get"},
           .short_names = {"isimage"}},
          {.name = "imagestreamimports",
           .singular = "imagestreamimport",
           .kind = "ImageStreamImport",
           .verbs = {"create"}},
          {.name = "imagestreammappings",
           .singular = "imagestreammapping",
           .kind = "ImageStreamMapping",
           .verbs = {"create"}},
          {.name = "imagestreams",
           .singular = "imagestream",
           .kind = "ImageStream",
           .verbs = all,
           .short_names = {"is"},
           .categories = {"all"},
           .stored = true},
          {.name = "imagestreams/layers", .kind = "ImageStreamLayers", .verbs = {"get"}},
          {.name = "imagestreams/secrets", .kind = "SecretList", .verbs = {"get"}},
          {.name = "imagestreams/status",
           .kind = "ImageStream",
           .verbs = {"get", "patch", "update"}},
          {.name = "imagestreamtags",
           .singular = "imagestreamtag",
           .kind = "ImageStreamTag",
           .verbs = tags,
           .short_names = {"istag"}},
          {.name = "imagetags",
           .singular = "imagetag",
           .kind = "ImageTag",
           .verbs = tags,
           .short_names = {"itag"}},
      });
  const Discovery discovery({&group});
  EXPECT_EQ(*discovery.Answer("/apis/image.openshift.io/v1", {}).body, Golden("groupversion.json"));

  const std::string aggregated = *discovery.Answer("/apis", {.accept = kV2}).body;
  const std::string head =
      R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[)";
  ASSERT_TRUE(aggregated.starts_with(head));
  ASSERT_TRUE(aggregated.ends_with("]}\n"));
  EXPECT_THAT(
      Golden("apis-aggregated-client-go.json"),
      testing::HasSubstr(aggregated.substr(head.size(), aggregated.size() - head.size() - 3)))
      << "the group as it stands among the reference's";
}

TEST(Discovery, TheAggregatedFormIsAskedForByItsParameters) {
  const Discovery discovery({&registry::ImageV1()});
  const std::string v2beta1 =
      "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
  const std::string both = std::string(kV2) + "," + v2beta1 + ",application/json";
  const http::Response v2 = discovery.Answer("/apis", {.accept = both});
  EXPECT_EQ(*v2.headers.Find("content-type"), kV2);
  EXPECT_EQ(*v2.headers.Find("vary"), "Accept");
  EXPECT_EQ(*v2.headers.Find("cache-control"), "public");
  const std::string etag = *v2.headers.Find("etag");
  EXPECT_THAT(etag, testing::MatchesRegex("\"[0-9A-F]{128}\""));

  const http::Response beta = discovery.Answer("/apis", {.accept = v2beta1});
  EXPECT_EQ(*beta.headers.Find("content-type"), v2beta1);
  EXPECT_THAT(*beta.body, testing::HasSubstr(R"("apiVersion":"apidiscovery.k8s.io/v2beta1")"));
  EXPECT_NE(*beta.headers.Find("etag"), etag);

  const http::Response same = discovery.Answer("/apis", {.accept = kV2}, etag);
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, nullptr);
  EXPECT_EQ(*same.headers.Find("etag"), etag);
  EXPECT_EQ(discovery.Answer("/apis", {.accept = kV2}, "\"other\"").status, 200);
  EXPECT_EQ(discovery.Answer("/apis", {.accept = "application/json"}, etag).status, 200)
      << "the plain list has no entity tag";
  EXPECT_EQ(*discovery
                 .Answer("/apis", {.accept = "application/vnd.kubernetes.protobuf;"
                                             "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
                 .headers.Find("etag"),
            etag);
  const http::Response plain = discovery.Answer(
      "/apis", {.accept = "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,"
                          "application/json"});
  EXPECT_EQ(*plain.headers.Find("content-type"), "application/json");
}

TEST(Discovery, TheGroupListNamesTheGroup) {
  EXPECT_THAT(*Discovery({&registry::ImageV1()}).Answer("/apis", {}).body,
              testing::StartsWith(
                  R"({"kind":"APIGroupList","groups":[{"name":"image.openshift.io","versions":[)"));
}

}  // namespace
}  // namespace strata::api
