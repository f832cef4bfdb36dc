#include "storage/replica/horizon.h"

#include <gtest/gtest.h>

namespace strata::replica {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

base::MonotonicTime At(milliseconds time) {
  return base::MonotonicTime(time);
}

TEST(Horizon, PassesWhatIsOlderThanItsAge) {
  Horizon horizon(seconds(64), 1 << 20);
  horizon.Add(At(seconds(10)), 100, 7);
  horizon.Add(At(seconds(20)), 200, 5);
  EXPECT_EQ(horizon.Pass(At(milliseconds(73'999))), 0);
  EXPECT_EQ(horizon.Pass(At(seconds(74))), 100);
  EXPECT_EQ(horizon.bytes(), 5u);
  EXPECT_EQ(horizon.Pass(At(seconds(83))), 0) << "once";
  EXPECT_EQ(horizon.Pass(At(seconds(200))), 200);
  EXPECT_EQ(horizon.bytes(), 0u);
}

TEST(Horizon, PassesTheOldestOfTooManyBytes) {
  Horizon horizon(seconds(64), 1000);
  for (int i = 1; i <= 10; ++i) horizon.Add(At(seconds(0)), i, 100);
  EXPECT_EQ(horizon.Pass(At(seconds(0))), 0);
  horizon.Add(At(seconds(1)), 11, 250);
  EXPECT_EQ(horizon.Pass(At(seconds(1))), 3);
  EXPECT_EQ(horizon.bytes(), 950u);
  horizon.Add(At(seconds(1)), 12, 5000);
  EXPECT_EQ(horizon.Pass(At(seconds(1))), 12) << "even all of it";
}

// So that a change a millisecond doesn't take memory of its own.
TEST(Horizon, TakesTogetherWhatIsNearInTime) {
  Horizon horizon(seconds(64), 1 << 20);
  for (int i = 1; i <= 2000; ++i) horizon.Add(At(milliseconds(i)), i, 1);
  // The first thousand are one span: it is passed when its last is old.
  EXPECT_EQ(horizon.Pass(At(milliseconds(64'999))), 0);
  EXPECT_EQ(horizon.Pass(At(milliseconds(65'000))), 1000);
}

TEST(Horizon, BeginsAnew) {
  Horizon horizon(seconds(64), 1000);
  horizon.Add(At(seconds(0)), 5, 900);
  horizon.Clear();
  EXPECT_EQ(horizon.bytes(), 0u);
  EXPECT_EQ(horizon.Pass(At(seconds(1000))), 0);
}

}  // namespace
}  // namespace strata::replica
