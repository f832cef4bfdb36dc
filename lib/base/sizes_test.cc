#include "lib/base/sizes.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

TEST(Sizes, AddUpToTheMostThatCanBeSaidAndNeverToLess) {
  EXPECT_EQ(AddSize(0, 0), 0);
  EXPECT_EQ(AddSize(3, 4), 7);
  EXPECT_EQ(AddSize(3, -1), 3);
  EXPECT_EQ(AddSize(3, INT64_MIN), 3);
  EXPECT_EQ(AddSize(3, INT64_MAX - 3), INT64_MAX);
  EXPECT_EQ(AddSize(3, INT64_MAX), INT64_MAX);
  EXPECT_EQ(AddSize(INT64_MAX, INT64_MAX), INT64_MAX);
}

}  // namespace
}  // namespace strata::base
