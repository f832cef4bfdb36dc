#include "storage/serve/auto_compaction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::serve {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kMinute{60'000}, kHour{3'600'000};

TEST(CompactionPolicies, AreWrittenAsEtcdsAre) {
  const struct {
    const char* mode;
    const char* retention;
    milliseconds period;
    base::Revision revisions;
  } kCases[] = {
      {"periodic", "0", milliseconds(0), 0},       {"periodic", "1", kHour, 0},
      {"periodic", "30m", 30 * kMinute, 0},        {"periodic", "1h30m", 90 * kMinute, 0},
      {"periodic", "1.5h", 90 * kMinute, 0},       {"periodic", "+1h0m0s", kHour, 0},
      {"revision", "1000", milliseconds(0), 1000}, {"revision", "0", milliseconds(0), 0},
  };
  for (const auto& c : kCases) {
    const auto policy = CompactionPolicy::Parse(c.mode, c.retention);
    ASSERT_TRUE(policy.ok()) << c.retention;
    EXPECT_EQ(policy->period, c.period) << c.retention;
    EXPECT_EQ(policy->revisions, c.revisions) << c.retention;
  }
  for (const auto& [mode, bad] : {std::pair{"periodic", "-1h"},
                                  {"periodic", "soon"},
                                  {"periodic", "1.5"},
                                  {"periodic", "1d"},
                                  {"periodic", " 1h"},
                                  {"periodic", "inf"},
                                  {"periodic", "999999999999999999999"},
                                  {"periodic", ""},
                                  {"revision", "1h"},
                                  {"revision", "-1"},
                                  {"revision", ""}}) {
    EXPECT_FALSE(CompactionPolicy::Parse(mode, bad).ok()) << mode << " " << bad;
  }
}

// What a plan compacts to, with one revision a minute, where that is done.
std::vector<std::pair<int64_t, base::Revision>> Follow(const CompactionPolicy& policy,
                                                       int minutes) {
  const base::MonotonicTime start{};
  CompactionPlan plan(policy, start);
  std::vector<std::pair<int64_t, base::Revision>> done;
  for (auto at = plan.interval(); at <= minutes * kMinute; at += plan.interval()) {
    const auto to = plan.Tick(start + at, at / kMinute);
    if (!to) continue;
    done.emplace_back(at / kMinute, *to);
    plan.Done(start + at, *to);
  }
  return done;
}

TEST(CompactionPlans, KeepAPeriodsHistoryAndLookEveryHourAtMost) {
  using testing::ElementsAre;
  using testing::Pair;
  EXPECT_THAT(Follow({.period = 30 * kMinute}, 95),
              ElementsAre(Pair(30, 3), Pair(60, 30), Pair(90, 60)))
      << "the first look is at minute 3";
  EXPECT_THAT(Follow({.period = 5 * kHour}, 8 * 60),
              ElementsAre(Pair(300, 6), Pair(360, 60), Pair(420, 120), Pair(480, 180)));
}

TEST(CompactionPlans, KeepSoManyRevisions) {
  using testing::ElementsAre;
  using testing::Pair;
  EXPECT_THAT(Follow({.revisions = 10}, 25), ElementsAre(Pair(15, 5), Pair(20, 10), Pair(25, 15)));
}

TEST(CompactionPlans, DontCompactWhereNothingHappened) {
  CompactionPlan plan({.revisions = 10}, {});
  EXPECT_EQ(plan.Tick(base::MonotonicTime(kHour), 50), 40);
  plan.Done(base::MonotonicTime(kHour), 40);
  EXPECT_EQ(plan.Tick(base::MonotonicTime(2 * kHour), 50), std::nullopt);
}

// etcd server/etcdserver/api/v3compactor/periodic.go, revision.go Run.
TEST(CompactionPlans, ProposeAtTheNextLookWhatCouldNotBeDone) {
  for (const CompactionPolicy& policy :
       {CompactionPolicy{.period = 5 * kHour}, CompactionPolicy{.revisions = 10}}) {
    CompactionPlan plan(policy, {});
    base::MonotonicTime at(5 * kHour);
    ASSERT_NE(plan.Tick(at, 50), std::nullopt);
    at += plan.interval();
    const auto again = plan.Tick(at, 50);
    ASSERT_NE(again, std::nullopt);
    plan.Done(at, *again);
    EXPECT_EQ(plan.Tick(at + plan.interval(), 50), std::nullopt);
  }
}

}  // namespace
}  // namespace strata::serve
