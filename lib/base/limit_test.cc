#include "lib/base/limit.h"

#include <gtest/gtest.h>

#include "lib/base/shares.h"

namespace strata::base {
namespace {

TEST(Limit, IsWhatItIsUntilMemoryIsShort) {
  MemoryPressure memory;
  Limit limit = 1600;
  EXPECT_EQ(limit.Of(0), 1600u);
  limit.GiveWayTo(memory);
  EXPECT_EQ(limit.Of(1000), 1600u);
  memory.Set(true);
  EXPECT_EQ(limit.most(), 1600u);
  memory.Set(false);
  EXPECT_EQ(limit.Of(1000), 1600u);
}

TEST(Limit, NothingGrowsBeyondASixteenthWhileMemoryIsShortAndWhatIsThereStays) {
  MemoryPressure memory;
  memory.Set(true);
  Limit limit = 1600;
  limit.GiveWayTo(memory);
  struct Case {
    size_t held, may_be;
  };
  for (const auto& [held, may_be] :
       {Case{0, 100}, {99, 100}, {100, 100}, {101, 101}, {1600, 1600}, {5000, 1600}})
    EXPECT_EQ(limit.Of(held), may_be) << held;
}

TEST(Limit, WhoSharesIsRefusedWhileMemoryIsShortButForALittle) {
  MemoryPressure memory;
  Limit limit = 1600;
  limit.GiveWayTo(memory);
  Shares shares(limit);
  using Claim = Shares::Claim;
  const auto large = shares.Take("a", Claim::kFair, 1000);
  ASSERT_TRUE(large);
  memory.Set(true);
  EXPECT_FALSE(shares.Take("b", Claim::kFair, 1));
  EXPECT_TRUE(shares.Take("b", Claim::kExempt, 1));
  Shares others(limit);
  EXPECT_TRUE(others.Take("b", Claim::kFair, 60));
  EXPECT_FALSE(others.Take("b", Claim::kFair, 101));
  memory.Set(false);
  EXPECT_TRUE(shares.Take("b", Claim::kFair, 300));
}

}  // namespace
}  // namespace strata::base
