#include "lib/transport/net/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <absl/synchronization/notification.h>

namespace strata::net {
namespace {

TEST(WorkerPool, RunsTasksAndRefusesThoseBeyondItsQueue) {
  obs::Metrics metrics;
  absl::Notification started, go;
  {
    WorkerPool pool({.threads = 1, .max_queued = 2}, "test", metrics);
    std::atomic<int> ran = 0;
    absl::Notification done;
    ASSERT_TRUE(pool.TrySubmit(
        [&] {
          started.Notify();
          go.WaitForNotification();
        },
        {}));
    ASSERT_TRUE(started.WaitForNotificationWithTimeout(absl::Seconds(10)));
    EXPECT_TRUE(pool.TrySubmit([&] { ++ran; }, {"a"}));
    EXPECT_TRUE(pool.TrySubmit(
        [&] {
          ++ran;
          done.Notify();
        },
        {"b"}));
    Task refused = [] {};
    EXPECT_FALSE(pool.TrySubmit(std::move(refused), {"c"}));
    EXPECT_NE(refused, nullptr);  // NOLINT(bugprone-use-after-move): a refused one stays
    go.Notify();
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(10)));
    EXPECT_EQ(ran, 2);
  }
  EXPECT_THAT(
      metrics.Text(),
      ::testing::HasSubstr("strata_worker_tasks_total{pool=\"test\",result=\"rejected\"} 1"));
}

TEST(WorkerPool, DropsWhatWaitsWhenItEnds) {
  obs::Metrics metrics;
  const auto token = std::make_shared<int>(1);
  absl::Notification started, go;
  auto pool = std::make_unique<WorkerPool>(
      WorkerPoolOptions{.threads = 1, .max_queued = 10'000'000}, "test", metrics);
  ASSERT_TRUE(pool->TrySubmit(
      [&] {
        started.Notify();
        go.WaitForNotification();
      },
      {}));
  ASSERT_TRUE(started.WaitForNotificationWithTimeout(absl::Seconds(10)));
  ASSERT_TRUE(pool->TrySubmit([token] { ADD_FAILURE(); }, {}));
  WorkerPool& ending_pool = *pool;
  std::thread ending([&] { pool.reset(); });
  // It has begun to end once it takes no more; the running task keeps it there.
  while (ending_pool.TrySubmit([] {}, {})) std::this_thread::yield();
  go.Notify();
  ending.join();
  EXPECT_EQ(token.use_count(), 1);
}

TEST(WorkerPool, NobodyHasAllOfItsThreads) {
  obs::Metrics metrics;
  absl::Notification go, somebody_else;
  std::atomic<int> greedy = 0;
  {
    WorkerPool pool({.threads = 2}, "test", metrics);
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(pool.TrySubmit(
          [&] {
            ++greedy;
            go.WaitForNotification();
          },
          {"greedy"}));
    }
    ASSERT_TRUE(pool.TrySubmit([&] { somebody_else.Notify(); }, {"other"}));
    EXPECT_TRUE(somebody_else.WaitForNotificationWithTimeout(absl::Seconds(10)));
    EXPECT_LE(greedy, 1);
    go.Notify();
    while (greedy < 2) std::this_thread::yield();
  }
}

// One thread, held until Go, so that what is submitted waits.
class HeldPool : public testing::Test {
 protected:
  ~HeldPool() override { Go(); }
  WorkerPool& Make(WorkerPoolOptions options) {
    options.threads = 1;
    pool = std::make_unique<WorkerPool>(options, "test", metrics);
    absl::Notification started;
    EXPECT_TRUE(pool->TrySubmit(
        [&] {
          started.Notify();
          go.WaitForNotification();
        },
        {}));
    started.WaitForNotification();
    return *pool;
  }
  WorkerPool::Ticket Submit(const std::string& user, size_t bytes = 0) {
    return pool->TrySubmit([this, user] { ran.push_back(user); }, {user, bytes});
  }
  // Runs all that waits, and returns once it has run.
  void Go() {
    if (go.HasBeenNotified()) return;
    go.Notify();
    do {
      absl::Notification round;
      while (pool->TrySubmit([&] { round.Notify(); }, {"last"}) == 0) std::this_thread::yield();
      round.WaitForNotification();
    } while (metrics.Text().find("strata_worker_queue_length{pool=\"test\"} 0\n") ==
             std::string::npos);
  }

  obs::Metrics metrics;
  absl::Notification go;
  std::unique_ptr<WorkerPool> pool;
  std::vector<std::string> ran;
};

TEST_F(HeldPool, UsersTakeTurns) {
  Make({.max_queued = 100});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Submit("many"));
  EXPECT_TRUE(Submit("few"));
  EXPECT_TRUE(Submit("few"));
  EXPECT_TRUE(Submit("one"));
  pool->TrySubmit([] {}, {"many"});
  Go();
  EXPECT_THAT(ran, testing::ElementsAre("many", "few", "one", "many", "few", "many", "many"));
}

TEST_F(HeldPool, AUserLeavesRoomForTheNext) {
  Make({.max_queued = 100});
  int many = 0, others = 0;
  while (Submit("many")) ++many;
  EXPECT_EQ(many, 50);
  while (Submit("other")) ++others;
  EXPECT_EQ(others, 25);
  EXPECT_FALSE(Submit("many"));
  EXPECT_TRUE(Submit("third"));
}

TEST_F(HeldPool, BytesAreBoundedAndShared) {
  Make({.max_queued = 100, .max_bytes = 1000});
  EXPECT_TRUE(Submit("huge", 400));
  EXPECT_FALSE(Submit("huge", 400)) << "more than what would be left";
  EXPECT_TRUE(Submit("huge", 100));
  EXPECT_TRUE(Submit("other", 400));
  EXPECT_FALSE(Submit("third", 400));
  EXPECT_TRUE(Submit("third", 100));
  EXPECT_THAT(metrics.Text(), testing::HasSubstr("strata_worker_bytes{pool=\"test\"} 1000"));
}

TEST_F(HeldPool, ATaskThatIsLargerThanAllMayBeAlone) {
  Make({.max_queued = 100, .max_bytes = 1000});
  EXPECT_TRUE(Submit("huge", 5000));
  EXPECT_FALSE(Submit("other", 1));
}

TEST_F(HeldPool, WhatIsWithdrawnDoesntRunAndMakesRoom) {
  Make({.max_queued = 3, .max_bytes = 1000});
  const auto first = Submit("a", 900);
  EXPECT_FALSE(Submit("b", 900));
  pool->Withdraw(first);
  pool->Withdraw(first);
  const auto second = Submit("b", 900);
  EXPECT_TRUE(second);
  Go();
  pool->Withdraw(second);
  EXPECT_THAT(ran, testing::ElementsAre("b"));
  EXPECT_THAT(
      metrics.Text(),
      testing::HasSubstr("strata_worker_tasks_total{pool=\"test\",result=\"withdrawn\"} 1"));
}

}  // namespace
}  // namespace strata::net
