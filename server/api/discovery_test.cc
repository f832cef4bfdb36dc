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
  EXPECT_EQ(*discovery.Answer("/apis/image.openshift.io", {.accept = "application/vnd.kubernetes.protobuf", .user_agent = {}, .pretty = {}}).body,
            Golden("group-pb.pb"));
}

TEST(Discovery, EveryServedResourceStandsInTheReferencesListAsItIs) {
  const Discovery discovery(ServedResources());
  const std::string ours = *discovery.Answer("/apis/image.openshift.io/v1", {}).body;
  EXPECT_TRUE(ours.starts_with(R"({"kind":"APIResourceList","apiVersion":"v1","groupVersion":"image.openshift.io/v1","resources":[)"));
  const size_t first = ours.find("[{") + 1;
  const std::string entry = ours.substr(first, ours.find("}]") + 1 - first);
  EXPECT_THAT(Golden("groupversion.json"), testing::HasSubstr(entry));
}

TEST(Discovery, TheGroupListNamesTheGroup) {
  EXPECT_THAT(*Discovery(ServedResources()).Answer("/apis", {}).body,
              testing::StartsWith(R"({"kind":"APIGroupList","groups":[{"name":"image.openshift.io","versions":[)"));
}

}  // namespace
}  // namespace strata::api
