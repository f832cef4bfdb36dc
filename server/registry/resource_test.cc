#include "server/registry/resource.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/registry/image_v1.h"

namespace strata::registry {
namespace {

// "resource" and the scope, or "none".
std::string NameAt(const Groups& groups, const std::vector<std::string>& parts) {
  const Target found = TargetOf(groups, parts);
  if (found.resource == nullptr) return "none";
  const char* const kScopes[] = {"one of ", "in a namespace: ", "all: "};
  return (found.watch ? "watch " : "") + std::string(kScopes[static_cast<int>(found.scope)]) +
         found.resource->name;
}

class Registry : public testing::Test {
 protected:
  // Below the group's version; `path` has no slashes around it.
  std::string NameAt(const std::string& path, const std::string& version = "v1") const {
    std::vector<std::string> parts = {"apis", "toys.example.com", version};
    for (size_t at = 0, slash = 0; slash != path.npos; at = slash + 1) {
      slash = path.find('/', at);
      parts.push_back(path.substr(at, slash - at));
    }
    return registry::NameAt({&toys, &ImageV1()}, parts);
  }

  const Group toys{"toys.example.com",
                   "v1",
                   "toy",
                   {{.name = "bills", .singular = "bill", .kind = "Bill", .unserved = {"create"}},
                    {.name = "boxes",
                     .singular = "box",
                     .kind = "Box",
                     .namespaced = false,
                     .verbs = {"get", "list", "watch"}},
                    {.name = "dolls",
                     .singular = "doll",
                     .kind = "Doll",
                     .verbs = {"get", "list", "watch"},
                     .stored = true},
                    {.name = "dolls/dress", .kind = "Dress", .verbs = {"update"}},
                    {.name = "heaps", .singular = "heap", .kind = "Heap", .verbs = {"list"}},
                    {.name = "kites", .singular = "kite", .kind = "Kite", .verbs = {"get"}},
                    {.name = "marks",
                     .singular = "mark",
                     .kind = "Mark",
                     .namespaced = false,
                     .unserved = {"create", "delete"}}}};
};

TEST_F(Registry, FindsWhatAPathIsAbout) {
  const std::pair<const char*, const char*> kPaths[] = {
      {"namespaces/ns/dolls/ann", "one of dolls"},
      {"namespaces//dolls/", "one of dolls"},
      {"namespaces/ns/dolls/ann/dress", "one of dolls/dress"},
      {"namespaces/ns/dolls//dress", "one of dolls/dress"},
      {"namespaces/ns/dolls", "in a namespace: dolls"},
      {"namespaces//dolls", "in a namespace: dolls"},
      {"dolls", "all: dolls"},
      {"boxes", "all: boxes"},
      {"boxes/red", "one of boxes"},
      // A namespace may have any name.
      {"namespaces/watch/dolls", "in a namespace: dolls"},
      {"namespaces/namespaces/dolls/dolls", "one of dolls"},
      // Other parts, too many or too few of them, and the wrong scope.
      {"namespaces/ns/dolls/ann/hat", "none"},
      {"namespaces/ns/dolls/ann/dress/x", "none"},
      {"namespaces/ns//dolls", "none"},
      {"namespaces/ns", "none"},
      {"namespaces", "none"},
      {"", "none"},
      {"/dolls", "none"},
      {"dolls/ann", "none"},
      {"dolls/dress", "none"},
      {"dolls/ann/dress", "none"},
      {"namespaces/ns/boxes", "none"},
      {"namespaces/ns/boxes/red", "none"},
      {"proxy/namespaces/ns/dolls/ann", "none"},
      {"redirect/boxes/red", "none"},
      // Verbs that aren't served, or only of the other kind of path.
      {"namespaces/ns/heaps", "in a namespace: heaps"},
      {"namespaces/ns/heaps/h", "none"},
      {"namespaces/ns/kites/k", "one of kites"},
      {"namespaces/ns/kites", "none"},
      {"kites", "none"},
      // What isn't served here is known all the same.
      {"namespaces/ns/bills", "in a namespace: bills"},
      {"bills", "none"},
      {"namespaces/ns/bills/b", "none"},
      {"marks", "all: marks"},
      {"marks/m", "one of marks"},
  };
  for (const auto& [path, name] : kPaths) EXPECT_EQ(NameAt(path), name) << path;
}

TEST_F(Registry, KnowsTheDeprecatedPathsOfWhatCanBeWatched) {
  const std::pair<const char*, const char*> kPaths[] = {
      {"watch/namespaces/ns/dolls", "watch in a namespace: dolls"},
      {"watch/namespaces/ns/dolls/ann", "watch one of dolls"},
      {"watch/dolls", "watch all: dolls"},
      {"watch/boxes", "watch all: boxes"},
      {"watch/boxes/red", "watch one of boxes"},
      {"watch", "none"},
      {"watch/watch/dolls", "none"},
      {"watch/dolls/ann", "none"},
      {"watch/namespaces/ns/boxes", "none"},
      {"watch/namespaces/ns/dolls/ann/dress", "none"},
      {"watch/namespaces/ns/heaps", "none"},
      {"watch/namespaces/ns/kites/k", "none"},
      {"watch/namespaces/ns/bills", "none"},
      {"watch/namespaces/ns/trains", "none"},
  };
  for (const auto& [path, name] : kPaths) EXPECT_EQ(NameAt(path), name) << path;
}

TEST_F(Registry, EveryGroupHasItsOwnPaths) {
  const Groups groups = {&ImageV1(), &toys};
  const std::vector<std::string> box = {"boxes", "red"},
                                 layers = {"namespaces", "ns", "imagestreams", "a", "layers"};
  const auto at = [&](std::vector<std::string> parts, const std::vector<std::string>& rest) {
    parts.insert(parts.end(), rest.begin(), rest.end());
    return registry::NameAt(groups, parts);
  };
  EXPECT_EQ(at({"apis", "toys.example.com", "v1"}, box), "one of boxes");
  EXPECT_EQ(at({"apis", "image.openshift.io", "v1"}, layers), "one of imagestreams/layers");
  for (const std::vector<std::string>& root :
       std::vector<std::vector<std::string>>{{"apis", "image.openshift.io", "v1"},
                                             {"apis", "toys.example.com", "v2"},
                                             {"apis", "toys.example.org", "v1"},
                                             {"api", "toys.example.com", "v1"},
                                             {"apis"},
                                             {}})
    EXPECT_EQ(at(root, box), "none") << testing::PrintToString(root);
}

TEST_F(Registry, AResourceSaysWhatItIsCalledEverywhere) {
  const Resource& dress = *toys.Find("dolls/dress");
  EXPECT_EQ(dress.parent(), "dolls");
  EXPECT_EQ(dress.subresource(), "dress");
  EXPECT_EQ(dress.qualified(), "dolls.toys.example.com");
  EXPECT_EQ(dress.type_meta().api_version, "toys.example.com/v1");
  EXPECT_EQ(toys.Find("doll"), nullptr);
}

TEST_F(Registry, WhatIsOnlyKnownIsAnnouncedNowhere) {
  EXPECT_TRUE(toys.announces(*toys.Find("boxes")));
  EXPECT_TRUE(toys.announces(*toys.Find("dolls/dress")));
  EXPECT_FALSE(toys.announces(*toys.Find("bills")));
  const Group part("toys.example.com", "v1", "toy",
                   {{.name = "dolls", .kind = "Doll"},
                    {.name = "dolls/dress", .kind = "Dress", .verbs = {"get"}},
                    {.name = "kites", .kind = "Kite"},
                    {.name = "kites/tail", .kind = "Tail", .unserved = {"get"}}});
  EXPECT_TRUE(part.announces(*part.Find("dolls"))) << "as the parent of what is served";
  EXPECT_FALSE(part.announces(*part.Find("kites")));
}

TEST_F(Registry, AResourceSaysWhereItIs) {
  const std::string root = "/apis/toys.example.com/v1";
  const Resource &dolls = *toys.Find("dolls"), &boxes = *toys.Find("boxes");
  EXPECT_EQ(PathOf(*toys.Find("dolls/dress"), Scope::kObject),
            root + "/namespaces/{namespace}/dolls/{name}/dress");
  EXPECT_EQ(PathOf(dolls, Scope::kNamespace), root + "/namespaces/{namespace}/dolls");
  EXPECT_EQ(PathOf(dolls, Scope::kCluster), root + "/dolls");
  EXPECT_EQ(PathOf(dolls, Scope::kObject, true),
            root + "/watch/namespaces/{namespace}/dolls/{name}");
  EXPECT_EQ(PathOf(boxes, Scope::kObject), root + "/boxes/{name}");
  EXPECT_EQ(PathOf(boxes, Scope::kCluster, true), root + "/watch/boxes");
}

}  // namespace
}  // namespace strata::registry
