#include "server/registry/resource.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "server/registry/image_v1.h"

namespace strata::registry {
namespace {

// A resource in a namespace with a part, and one without; of these verbs.
class Registry : public testing::Test {
 protected:
  std::string NameAt(const std::vector<std::string>& parts) const {
    const Resource* found = ObjectAt({&toys, &ImageV1()}, parts);
    return found == nullptr ? "none" : found->name;
  }

  const Group toys{
      "toys.example.com",
      "v1",
      "toy",
      {{.name = "boxes", .singular = "box", .kind = "Box", .namespaced = false, .verbs = {"get"}},
       {.name = "dolls",
        .singular = "doll",
        .kind = "Doll",
        .verbs = {"get", "list"},
        .stored = true},
       {.name = "dolls/dress", .kind = "Dress", .verbs = {"update"}},
       {.name = "heaps", .singular = "heap", .kind = "Heap", .verbs = {"list"}}}};
};

TEST_F(Registry, FindsWhoseObjectAPathNames) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> paths = {
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "dolls", "ann"}, "dolls"},
      {{"apis", "toys.example.com", "v1", "namespaces", "", "dolls", ""}, "dolls"},
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "dolls", "ann", "dress"},
       "dolls/dress"},
      {{"apis", "toys.example.com", "v1", "boxes", "red"}, "boxes"},
      {{"apis", "image.openshift.io", "v1", "namespaces", "ns", "imagestreams", "a", "layers"},
       "imagestreams/layers"},
      // Other parts, too many or too few of them, and the wrong scope.
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "dolls", "ann", "hat"}, "none"},
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "dolls", "ann", "dress", "x"},
       "none"},
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "dolls"}, "none"},
      {{"apis", "toys.example.com", "v1", "dolls", "ann"}, "none"},
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "boxes", "red"}, "none"},
      {{"apis", "toys.example.com", "v1", "watch", "boxes", "red"}, "none"},
      {{"apis", "toys.example.com", "v2", "boxes", "red"}, "none"},
      {{"apis", "toys.example.org", "v1", "boxes", "red"}, "none"},
      {{"api", "toys.example.com", "v1", "boxes", "red"}, "none"},
      {{"apis"}, "none"},
      {{}, "none"},
      // No verb of objects.
      {{"apis", "toys.example.com", "v1", "namespaces", "ns", "heaps", "h"}, "none"},
  };
  for (const auto& [parts, name] : paths)
    EXPECT_EQ(NameAt(parts), name) << testing::PrintToString(parts);
}

TEST_F(Registry, AResourceSaysWhatItIsCalledEverywhere) {
  const Resource& dress = *toys.Find("dolls/dress");
  EXPECT_EQ(dress.parent(), "dolls");
  EXPECT_EQ(dress.subresource(), "dress");
  EXPECT_EQ(dress.qualified(), "dolls.toys.example.com");
  EXPECT_EQ(dress.type_meta().api_version, "toys.example.com/v1");
  EXPECT_EQ(PathOf(dress), "/apis/toys.example.com/v1/namespaces/{namespace}/dolls/{name}/dress");
  EXPECT_EQ(PathOf(*toys.Find("boxes")), "/apis/toys.example.com/v1/boxes/{name}");
  EXPECT_EQ(toys.Find("doll"), nullptr);
}

}  // namespace
}  // namespace strata::registry
