#include "lib/base/string_map.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

TEST(StringMap, IsLookedUpByAViewOfOtherMemory) {
  StringMap<int> map;
  map["sha256:abc"] = 7;
  const char text[] = "xsha256:abcx";
  const auto found = map.find(std::string_view(text + 1, 10));
  ASSERT_NE(found, map.end());
  EXPECT_EQ(found->second, 7);
  EXPECT_FALSE(map.contains(std::string_view(text, 3)));
}

}  // namespace
}  // namespace strata::base
