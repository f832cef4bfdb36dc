#include "server/net/worker_pool.h"

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
    ASSERT_TRUE(pool.TrySubmit([&] {
      started.Notify();
      go.WaitForNotification();
    }));
    ASSERT_TRUE(started.WaitForNotificationWithTimeout(absl::Seconds(10)));
    EXPECT_TRUE(pool.TrySubmit([&] { ++ran; }));
    EXPECT_TRUE(pool.TrySubmit([&] {
      ++ran;
      done.Notify();
    }));
    Task refused = [] {};
    EXPECT_FALSE(pool.TrySubmit(std::move(refused)));
    EXPECT_NE(refused, nullptr);
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
  ASSERT_TRUE(pool->TrySubmit([&] {
    started.Notify();
    go.WaitForNotification();
  }));
  ASSERT_TRUE(started.WaitForNotificationWithTimeout(absl::Seconds(10)));
  ASSERT_TRUE(pool->TrySubmit([token] { ADD_FAILURE(); }));
  WorkerPool& ending_pool = *pool;
  std::thread ending([&] { pool.reset(); });
  // It has begun to end once it takes no more; the running task keeps it there.
  while (ending_pool.TrySubmit([] {})) std::this_thread::yield();
  go.Notify();
  ending.join();
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace strata::net
