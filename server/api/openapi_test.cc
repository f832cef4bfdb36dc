#include "server/api/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <map>

#include "lib/codec/json_tree.h"
#include "server/registry/image_v1.h"

namespace strata::api {
namespace {

using codec::JsonTree;

constexpr const char* kGroup = "/openapi/v3/apis/image.openshift.io/v1";
std::string Golden(const std::string& path) {
  gzFile file = gzopen(("test/golden/discovery/" + path).c_str(), "rb");
  std::string text;
  char buffer[65536];
  for (int n; (n = gzread(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  gzclose(file);
  return text;
}

// The same value, whatever the order of keys.
bool Same(const JsonTree* a, const JsonTree* b) {
  if (a == nullptr || b == nullptr || a->kind != b->kind || a->text != b->text ||
      a->items.size() != b->items.size()) {
    return false;
  }
  for (size_t i = 0; i < a->items.size(); ++i) {
    const JsonTree* other =
        a->kind == JsonTree::Kind::kObject ? codec::Member(b, a->keys[i]) : &b->items[i];
    if (!Same(&a->items[i], other)) return false;
  }
  return true;
}

std::vector<std::string> Keys(const JsonTree* tree) {
  return tree == nullptr ? std::vector<std::string>() : tree->keys;
}

// An operation's and its path's, by their names. What refers to a parameter is followed.
std::map<std::string, const JsonTree*> Parameters(const JsonTree& document, const JsonTree& path) {
  std::map<std::string, const JsonTree*> found;
  for (const JsonTree* list : {codec::Member(&path, "parameters"),
                               codec::Member(codec::Member(&path, "get"), "parameters")}) {
    if (list == nullptr) continue;
    for (const JsonTree& item : list->items) {
      const JsonTree* one = &item;
      if (const JsonTree* shared = codec::Member(one, "$ref")) {
        one = codec::Member(codec::Member(&document, "parameters"),
                            shared->text.substr(std::string("#/parameters/").size()));
      }
      found[codec::Member(one, "name")->text] = one;
    }
  }
  return found;
}

// Whether a parameter is the other, but for how it is described.
bool SameParameter(const JsonTree* a, const JsonTree* b) {
  for (const char* member : {"name", "in", "type", "required", "uniqueItems", "schema"}) {
    const JsonTree *one = codec::Member(a, member), *other = codec::Member(b, member);
    if ((one == nullptr) != (other == nullptr) || (one != nullptr && !Same(one, other)))
      return false;
  }
  return codec::Member(a, "description") != nullptr;
}

TEST(OpenApi, TheOperationsAreTheReferences) {
  const OpenApi api({&registry::ImageV1WithSecrets()});
  for (const auto& [path, golden] :
       {std::pair<std::string_view, std::string>(kGroup, "openapi-v3-image.json.gz"),
        {"/openapi/v2", "openapi-v2.json.gz"}}) {
    const JsonTree ours = codec::ParseTree(*api.Answer(path, {}).body);
    const JsonTree theirs = codec::ParseTree(Golden(golden));
    const JsonTree* paths = codec::Member(&theirs, "paths");
    size_t compared = 0;
    for (const std::string& name : Keys(paths)) {
      const JsonTree* reference = codec::Member(paths, name);
      if (!name.starts_with("/apis/image.openshift.io/v1/") ||
          codec::Member(reference, "get") == nullptr) {
        continue;
      }
      ++compared;
      const JsonTree* own = codec::Member(codec::Member(&ours, "paths"), name);
      ASSERT_NE(own, nullptr) << name;
      // Parameters that all methods of a path have stand at the path.
      JsonTree get = *codec::Member(reference, "get");
      if (const auto at = std::find(get.keys.begin(), get.keys.end(), "parameters");
          at != get.keys.end()) {
        get.items.erase(get.items.begin() + (at - get.keys.begin()));
        get.keys.erase(at);
      }
      EXPECT_TRUE(Same(codec::Member(own, "get"), &get)) << path << " " << name;
      const auto parameters = Parameters(ours, *own), wanted = Parameters(theirs, *reference);
      EXPECT_EQ(parameters.size(), wanted.size()) << path << " " << name;
      for (const auto& [parameter, one] : wanted) {
        EXPECT_TRUE(parameters.contains(parameter) &&
                    SameParameter(parameters.find(parameter)->second, one))
            << path << " " << name << " " << parameter;
      }
    }
    EXPECT_EQ(compared, Keys(codec::Member(&ours, "paths")).size()) << "others are served";
  }
}

TEST(OpenApi, SchemasHaveTheReferencesMembersWithOurDescriptions) {
  const OpenApi api({&registry::ImageV1WithSecrets()});
  const JsonTree v3 = codec::ParseTree(*api.Answer(kGroup, {}).body);
  const JsonTree golden = codec::ParseTree(Golden("openapi-v3-image.json.gz"));
  const JsonTree* ours = codec::Member(codec::Member(&v3, "components"), "schemas");
  const JsonTree* theirs = codec::Member(codec::Member(&golden, "components"), "schemas");
  for (const std::string& name : Keys(ours)) {
    const JsonTree* schema = codec::Member(ours, name);
    const JsonTree* reference = codec::Member(theirs, name);
    ASSERT_NE(reference, nullptr) << name;
    EXPECT_THAT(Keys(codec::Member(schema, "properties")),
                testing::UnorderedElementsAreArray(Keys(codec::Member(reference, "properties"))))
        << name;
    EXPECT_NE(codec::Member(schema, "description"), nullptr) << name;
    for (const std::string& property : Keys(codec::Member(schema, "properties"))) {
      EXPECT_NE(codec::Member(codec::Member(codec::Member(schema, "properties"), property),
                              "description"),
                nullptr)
          << name << "." << property << " has no comment in its .proto file";
    }
  }
  const JsonTree* layers =
      codec::Member(ours, "com.github.openshift.api.image.v1.ImageStreamLayers");
  EXPECT_TRUE(Same(
      codec::Member(layers, "x-kubernetes-group-version-kind"),
      codec::Member(codec::Member(theirs, "com.github.openshift.api.image.v1.ImageStreamLayers"),
                    "x-kubernetes-group-version-kind")));
}

TEST(OpenApi, TheRootNamesOurGroupAloneByItsHash) {
  const OpenApi api({&registry::ImageV1()});
  const http::Response root = api.Answer("/openapi/v3", {});
  const std::string etag = *api.Answer(kGroup, {}).headers.Find("etag");
  const std::string hash = etag.substr(1, etag.size() - 2);
  EXPECT_EQ(*root.body,
            R"({"paths":{"apis/image.openshift.io/v1":{"serverRelativeURL":"/openapi/v3/apis/)"
            R"(image.openshift.io/v1?hash=)" +
                hash + "\"}}}");
  const http::Response named = api.Answer(kGroup, {.hash = hash});
  EXPECT_EQ(*named.headers.Find("cache-control"), "public, immutable");
  EXPECT_NE(named.headers.Find("expires"), nullptr);
  const http::Response old = api.Answer(kGroup, {.hash = "ABC"});
  EXPECT_EQ(old.status, 200) << "a redirect would become 502";
  EXPECT_EQ(*old.headers.Find("cache-control"), "no-cache, private");
}

TEST(OpenApi, EntityTagsAndAcceptAreHonoured) {
  const OpenApi api({&registry::ImageV1()});
  for (const std::string_view path : {"/openapi/v2", kGroup}) {
    const std::string etag = *api.Answer(path, {}).headers.Find("etag");
    for (const std::string& match : {etag, "W/" + etag, "\"x\", " + etag, std::string("*")})
      EXPECT_EQ(api.Answer(path, {.if_none_match = match}).status, 304) << match;
    EXPECT_EQ(api.Answer(path, {.if_none_match = "\"x\""}).status, 200);
  }
  for (const char* taken : {"", "application/json", "*/*", "text/html, application/*;q=0.5"})
    EXPECT_EQ(api.Answer(kGroup, {.accept = taken}).status, 200) << taken;
  EXPECT_EQ(api.Answer(kGroup, {.accept = "application/yaml"}).status, 406);
  EXPECT_EQ(api.Answer("/openapi/v3", {.accept = "application/yaml"}).status, 200);
}

TEST(OpenApi, IsTheSameOnEveryReplica) {
  const OpenApi one({&registry::ImageV1()}), other({&registry::ImageV1()});
  for (const std::string_view path : one.Paths())
    EXPECT_EQ(*one.Answer(path, {}).body, *other.Answer(path, {}).body);
}

}  // namespace
}  // namespace strata::api
