// What the writing thread does between batches, step by step.
#include "storage/engine/maintenance.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "storage/engine/meta.h"
#include "storage/engine/mutation.h"
#include "storage/engine/scrub.h"
#include "storage/engine/tree_fixture_test.h"
#include "storage/engine/view.h"
#include "test/support/full_disk.h"

namespace strata::engine {
namespace {

TEST(CleanUp, IsTriedAgainOnceThereMayBeRoom) {
  TreeFixture tree;
  AnswerBytes answer = tree.NewAnswer();
  for (int i = 0; i < 100; ++i) {
    auto txn = *tree.env().Begin();
    Mutation mutation(txn, *View::Of(txn));
    ASSERT_TRUE(mutation.Put({.key = "k", .value = std::string(20'000, 'v')}, answer).ok());
    ASSERT_TRUE(txn.Commit().ok());
  }
  {
    auto txn = *tree.env().Begin();
    ASSERT_TRUE(Mutation(txn, *View::Of(txn)).Compact({.revision = 101}).ok());
    ASSERT_TRUE(txn.Commit().ok());
  }
  const Options options;
  base::FakeClock clock;
  obs::Metrics metrics;
  State state(options, clock, obs::NullLogger(), metrics);
  Maintenance maintenance(tree.env(), state, options, clock, obs::NullLogger());
  EXPECT_EQ(maintenance.Patience(), absl::InfiniteDuration());
  maintenance.BeginScrub();
  EXPECT_EQ(maintenance.Patience(), absl::ZeroDuration());
  {
    const testing_support::FullDisk disk(64 << 10);
    maintenance.Step();
    EXPECT_FALSE(*IsScrubbed(*tree.env().Snapshot()));
    EXPECT_GT(maintenance.Patience(), absl::ZeroDuration());
    EXPECT_LT(maintenance.Patience(), absl::Minutes(1));
  }
  maintenance.Step();
  EXPECT_FALSE(*IsScrubbed(*tree.env().Snapshot())) << "after a pause";
  clock.Advance(std::chrono::minutes(1));
  EXPECT_EQ(maintenance.Patience(), absl::ZeroDuration());
  maintenance.Step();
  EXPECT_TRUE(*IsScrubbed(*tree.env().Snapshot()));
  EXPECT_EQ(maintenance.Patience(), absl::InfiniteDuration());
  EXPECT_TRUE(state.health.failure().ok());
}

}  // namespace
}  // namespace strata::engine
