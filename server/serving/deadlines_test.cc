#include "server/serving/deadlines.h"

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace strata::serving {
namespace {

using std::chrono::seconds;

TEST(Deadlines, AlarmsGoOffInTheirOrderAndOnlyWhenTheirTimeHasCome) {
  base::FakeClock clock;
  Deadlines deadlines(clock);
  std::vector<int> order;
  absl::Notification first, last;
  deadlines.Set(clock.Now() + seconds(2), [&] {
    order.push_back(2);
    last.Notify();
  });
  deadlines.Set(clock.Now() + seconds(1), [&] {
    order.push_back(1);
    first.Notify();
  });
  deadlines.Set(clock.Now() + seconds(60), [&] { ADD_FAILURE() << "too early"; });
  clock.Advance(seconds(1));
  first.WaitForNotification();
  EXPECT_FALSE(last.HasBeenNotified());
  clock.Advance(seconds(1));
  last.WaitForNotification();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(Deadlines, ACancelledOneNeverGoesOff) {
  base::FakeClock clock;
  Deadlines deadlines(clock);
  absl::Notification other;
  const auto alarm =
      deadlines.Set(clock.Now() + seconds(1), [] { ADD_FAILURE() << "it was cancelled"; });
  deadlines.Set(clock.Now() + seconds(1), [&] { other.Notify(); });
  deadlines.Cancel(alarm);
  deadlines.Cancel(alarm);
  clock.Advance(seconds(1));
  other.WaitForNotification();
}

}  // namespace
}  // namespace strata::serving
