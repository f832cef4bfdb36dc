#include "storage/reflector/barrier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

#include "test/support/waiting.h"

namespace strata::reflector {
namespace {

using base::Revision;
using base::StatusCode;
using base::StatusOr;

// A backend whose reads the test answers one by one.
class ScriptedBackend : public Barrier::Backend {
 public:
  StatusOr<Barrier::Target> Read(base::MonotonicTime) override {
    absl::MutexLock lock(&mu);
    ++reads;
    mu.Await(absl::Condition(
        +[](ScriptedBackend* self) { return self->answer.has_value() || self->over; }, this));
    if (!answer.has_value()) return base::UnavailableError("the test is over");
    auto result = *std::move(answer);
    answer.reset();
    return result;
  }
  base::Status Probe(base::MonotonicTime) override {
    absl::MutexLock lock(&mu);
    ++probes;
    return probe;
  }
  void RequestProgress() override { Count(progress_requests); }
  void WatchLags() override { Count(lags); }
  void Restored() override { Count(restores); }

  void Answer(StatusOr<Barrier::Target> with) {
    absl::MutexLock lock(&mu);
    answer = std::move(with);
  }
  // From now on every read fails at once, so that the barrier's thread can end.
  void End() {
    absl::MutexLock lock(&mu);
    over = true;
  }
  void AwaitProbes(int n) {
    absl::MutexLock lock(&mu);
    const auto enough = [&, until = probes + n] { return probes >= until; };
    mu.Await(absl::Condition(&enough));
  }
  void AwaitReads(int n) {
    absl::MutexLock lock(&mu);
    const auto enough = [&] { return reads >= n; };
    mu.Await(absl::Condition(&enough));
  }

  // Until the barrier has called so often.
  void Await(const std::atomic<int>& calls, int n) {
    absl::MutexLock lock(&mu);
    const auto enough = [&] { return calls >= n; };
    mu.Await(absl::Condition(&enough));
  }

  absl::Mutex mu;
  int reads = 0, probes = 0;
  base::Status probe;
  std::optional<StatusOr<Barrier::Target>> answer;
  bool over = false;
  std::atomic<int> progress_requests = 0;
  std::atomic<int> lags = 0;
  std::atomic<int> restores = 0;

 private:
  void Count(std::atomic<int>& calls) {
    absl::MutexLock lock(&mu);
    ++calls;
  }
};

class FreshnessBarrier : public testing::Test {
 protected:
  ~FreshnessBarrier() override {
    backend.End();
    barrier.Stop();
  }

  std::future<StatusOr<Revision>> Fresh(
      std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    auto promise = std::make_shared<std::promise<StatusOr<Revision>>>();
    barrier.WaitFresh(clock.Now() + timeout,
                      [promise](StatusOr<Revision> r) { promise->set_value(std::move(r)); });
    return promise->get_future();
  }
  std::future<StatusOr<Revision>> For(Revision revision, std::chrono::milliseconds timeout) {
    auto promise = std::make_shared<std::promise<StatusOr<Revision>>>();
    barrier.WaitFor(revision, clock.Now() + timeout,
                    [promise](StatusOr<Revision> r) { promise->set_value(std::move(r)); });
    return promise->get_future();
  }
  static bool Pending(std::future<StatusOr<Revision>>& future) {
    return future.wait_for(std::chrono::milliseconds(30)) == std::future_status::timeout;
  }
  void Sync(Revision revision) {
    barrier.Publish(revision, revision, 0, true);
    barrier.Start();
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  ScriptedBackend backend;
  Barrier barrier{{.max_waiters = 1000, .patience = {}}, backend, clock, metrics};
};

TEST_F(FreshnessBarrier, RefusesBeforeTheFirstList) {
  barrier.Start();
  EXPECT_EQ(Fresh().get().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(For(1, std::chrono::seconds(1)).get().status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(FreshnessBarrier, WaitsForTheRevisionThatTheReadFound) {
  Sync(5);
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{7, -1, -1});
  backend.Await(backend.progress_requests, 2);  // with the read, and again while it waits
  EXPECT_TRUE(Pending(waiting));
  barrier.Publish(6, 6, 0, false);
  EXPECT_TRUE(Pending(waiting));
  barrier.Publish(7, 7, 0, false);
  EXPECT_EQ(*waiting.get(), 7);
}

TEST_F(FreshnessBarrier, AWatchThatDoesNotReachWhatAReadToldIsSaidToLag) {
  Sync(5);
  auto named = For(9, std::chrono::seconds(20));
  const auto start = clock.Now();
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{7, -1, -1});
  EXPECT_TRUE(testing_support::Eventually([&] { return backend.lags > 0; }));
  EXPECT_GE(clock.Now() - start, std::chrono::milliseconds(400));
  barrier.Publish(7, 7, 0, false);
  EXPECT_EQ(*waiting.get(), 7);
  // Who names a revision may name one that never comes.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const int before = backend.lags;
  EXPECT_EQ(named.wait_for(std::chrono::milliseconds(700)), std::future_status::timeout);
  EXPECT_EQ(backend.lags, before);
}

TEST_F(FreshnessBarrier, WhoComesAfterAReadWasSentWaitsForTheNextOne) {
  Sync(5);
  auto first = Fresh();
  backend.AwaitReads(1);
  std::vector<std::future<StatusOr<Revision>>> later;
  for (int i = 0; i < 10; ++i) later.push_back(Fresh());
  backend.Answer(Barrier::Target{5, -1, -1});
  EXPECT_EQ(*first.get(), 5);
  backend.AwaitReads(2);
  EXPECT_TRUE(Pending(later[0])) << "the first read may be older than these requests";
  backend.Answer(Barrier::Target{5, -1, -1});
  for (auto& one : later) EXPECT_EQ(*one.get(), 5);
  EXPECT_EQ(backend.reads, 2) << "ten requests shared one";
}

TEST_F(FreshnessBarrier, ABackendThatCannotBeReadIsAnError) {
  Sync(5);
  auto waiting = Fresh();
  backend.Answer(base::UnavailableError("connection refused"));
  const auto result = waiting.get();
  EXPECT_EQ(result.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(base::Message(result.status()), "connection refused");
}

TEST_F(FreshnessBarrier, ProgressIsAskedForWithAReadOnlyWhereTheLastOneNeededIt) {
  Sync(5);
  const auto read = [&](Revision found) {
    auto waiting = Fresh();
    backend.Answer(Barrier::Target{found, -1, -1});
    barrier.Publish(found, found, 0, false);
    ASSERT_TRUE(waiting.get().ok());
  };
  read(5);
  const int before = backend.progress_requests;
  for (int i = 0; i < 10; ++i) read(5);
  EXPECT_EQ(backend.progress_requests, before) << "nothing moves: nothing to ask for";
}

TEST_F(FreshnessBarrier, AfterAListOfAnOlderRevisionWhoWaitsAsksAgain) {
  Sync(50);
  auto waiting = Fresh();
  auto named = For(55, std::chrono::seconds(20));
  backend.Answer(Barrier::Target{60, -1, -1});
  EXPECT_TRUE(Pending(waiting));
  barrier.Publish(21, 21, 0, /*after_list=*/true);
  backend.Answer(Barrier::Target{21, -1, -1});
  EXPECT_EQ(*waiting.get(), 21) << "60 will not come for long, or as something else";
  EXPECT_TRUE(Pending(named)) << "who names a revision waits for it";
  barrier.Publish(56, 56, 0, false);
  EXPECT_EQ(*named.get(), 56);
}

TEST_F(FreshnessBarrier, WhileTheWatchIsBrokenNeitherAReadNorAListCounts) {
  Sync(5);
  barrier.Detach();
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{5, -1, -1});
  EXPECT_TRUE(Pending(waiting)) << "5 may be another store's";
  EXPECT_EQ(*For(5, std::chrono::seconds(20)).get(), 5) << "what is asked for by number is there";
  barrier.Publish(9, 9, 0, /*after_list=*/true);
  backend.Answer(Barrier::Target{9, -1, -1});
  EXPECT_TRUE(Pending(waiting)) << "10 may have come since the list was begun";
  barrier.Attach();
  EXPECT_EQ(*waiting.get(), 9);
}

TEST_F(FreshnessBarrier, DeadlinesHoldWhileTheReadHangsAndWhileTheWatchLags) {
  Sync(5);
  auto hanging = Fresh(std::chrono::milliseconds(300));
  EXPECT_EQ(hanging.get().status().code(), StatusCode::kDeadlineExceeded);
  auto lagging = Fresh(std::chrono::milliseconds(4000));
  backend.Answer(Barrier::Target{9, -1, -1});
  backend.AwaitReads(2);
  backend.Answer(Barrier::Target{9, -1, -1});
  EXPECT_EQ(lagging.get().status().code(), StatusCode::kDeadlineExceeded);
}

// With little time for a read, and requests that would wait for long.
class FreshnessTime : public testing::Test {
 protected:
  FreshnessTime() {
    barrier.Publish(5, 5, 0, true);
    barrier.Start();
  }
  ~FreshnessTime() override {
    backend.End();
    barrier.Stop();
  }
  std::future<StatusOr<Revision>> Fresh() {
    auto promise = std::make_shared<std::promise<StatusOr<Revision>>>();
    barrier.WaitFresh(clock.Now() + std::chrono::minutes(10),
                      [promise](StatusOr<Revision> r) { promise->set_value(std::move(r)); });
    return promise->get_future();
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  ScriptedBackend backend;
  Barrier barrier{{.read_timeout = std::chrono::milliseconds(1000),
                   .probe_interval = std::chrono::milliseconds(5),
                   .failure_interval = std::chrono::milliseconds(5)},
                  backend,
                  clock,
                  metrics};
};

TEST_F(FreshnessTime, EndsForEachRequestOnItsArrivalNotWhenTheReadBeforeItDoes) {
  auto first = Fresh();
  backend.AwaitReads(1);
  auto behind = Fresh();  // the read that hangs isn't its own
  EXPECT_EQ(first.get().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(behind.get().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(backend.reads, 1);
}

TEST_F(FreshnessTime, EndsWhileTheWatchIsAwayThoughReadsSucceed) {
  barrier.Detach();
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{5, -1, -1});
  const auto result = waiting.get();
  EXPECT_EQ(result.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(base::Message(result.status()), "the watch of the storage backend is away");
}

TEST_F(FreshnessTime, IsTriedWhileNobodyAsksWhetherItFailsOrNot) {
  for (const base::Status& status :
       {base::OkStatus(), base::UnavailableError("refused"), base::OkStatus()}) {
    {
      absl::MutexLock lock(&backend.mu);
      backend.probe = status;
    }
    backend.AwaitProbes(3);
  }
  EXPECT_EQ(backend.reads, 0) << "nobody asked";
}

TEST(FreshnessPace, ABackendThatFailsIsTriedAgainSoon) {
  base::SystemClock clock;
  obs::Metrics metrics;
  ScriptedBackend backend;
  backend.probe = base::UnavailableError("refused");
  Barrier barrier({.patience = {},
                   .probe_interval = std::chrono::hours(1),
                   .failure_interval = std::chrono::milliseconds(5)},
                  backend, clock, metrics);
  barrier.Publish(5, 5, 0, true);
  barrier.Start();
  std::promise<StatusOr<Revision>> answered;
  barrier.WaitFresh(clock.Now() + std::chrono::minutes(10),
                    [&](StatusOr<Revision> r) { answered.set_value(std::move(r)); });
  backend.Answer(base::UnavailableError("connection refused"));
  EXPECT_EQ(answered.get_future().get().status().code(), StatusCode::kUnavailable);
  backend.AwaitProbes(3);
  barrier.Stop();
}

TEST_F(FreshnessBarrier, ANamedRevisionNeedsNoReadAndIsOutOfRangeIfItDoesNotCome) {
  Sync(5);
  EXPECT_EQ(*For(5, std::chrono::seconds(5)).get(), 5);
  auto waiting = For(6, std::chrono::seconds(5));
  EXPECT_TRUE(Pending(waiting));
  barrier.Publish(8, 8, 0, false);
  EXPECT_EQ(*waiting.get(), 8);
  const auto never = For(99, std::chrono::milliseconds(30)).get();
  EXPECT_EQ(never.status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(backend.reads, 0);
}

TEST_F(FreshnessBarrier, AReadOlderThanTheIndexMeansTheBackendWasRestored) {
  Sync(50);
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{20, -1, -1});
  backend.Await(backend.restores, 1);
  EXPECT_TRUE(Pending(waiting));
  barrier.Publish(21, 21, 0, true);
  backend.Answer(Barrier::Target{21, -1, -1});
  auto result = waiting.get();
  EXPECT_EQ(*result, 21) << "the index went back, and the request was answered from it";
}

TEST_F(FreshnessBarrier, WithoutProgressTheNewestChangeAndTheCountOfKeysTell) {
  Sync(5);
  barrier.Publish(5, 5, 3, true);
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{90, 5, 2});
  EXPECT_TRUE(Pending(waiting)) << "a deletion hasn't come yet";
  barrier.Publish(80, 80, 2, false);
  EXPECT_TRUE(waiting.get().ok());
}

TEST_F(FreshnessBarrier, TooManyWaitersAreRefused) {
  Sync(5);
  std::vector<std::future<StatusOr<Revision>>> waiting;
  for (int i = 0; i < 1001; ++i) waiting.push_back(Fresh());
  EXPECT_EQ(waiting.back().get().status().code(), StatusCode::kResourceExhausted);
}

TEST_F(FreshnessBarrier, StopAnswersEveryone) {
  Sync(5);
  auto waiting = Fresh();
  backend.Answer(Barrier::Target{9, -1, -1});
  EXPECT_TRUE(Pending(waiting));
  barrier.Stop();
  EXPECT_EQ(waiting.get().status().code(), StatusCode::kCancelled);
}

// A backend that moves by itself, and a watch that follows with any delay: no request is let
// through before the index holds what was committed when it came in.
TEST(FreshnessProperty, NoRequestPassesBeforeTheIndexHasWhatWasCommittedWhenItCame) {
  struct Moving : Barrier::Backend {
    std::atomic<Revision> committed = 1;
    StatusOr<Barrier::Target> Read(base::MonotonicTime) override {
      return Barrier::Target{committed, -1, -1};
    }
    base::Status Probe(base::MonotonicTime) override { return base::OkStatus(); }
    void RequestProgress() override {}
    void WatchLags() override {}
    void Restored() override { ADD_FAILURE(); }
  } backend;
  base::SystemClock clock;
  obs::Metrics metrics;
  Barrier barrier({.read_timeout = std::chrono::seconds(20)}, backend, clock, metrics);
  barrier.Publish(1, 1, 0, true);
  barrier.Start();
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::thread writer([&] {
    while (!stop) {
      ++backend.committed;
      std::this_thread::yield();
    }
  });
  std::thread watch([&] {
    Revision seen = 1;
    while (!stop) {
      const Revision now = backend.committed;
      if (now != seen) {
        seen += (now - seen + 1) / 2;
        barrier.Publish(seen, seen, 0, false);
      }
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 2000; ++i) {
    const Revision before = backend.committed;
    barrier.WaitFresh(clock.Now() + std::chrono::seconds(20),
                      [&, before](const StatusOr<Revision>& at) {
                        EXPECT_TRUE(at.ok()) << at.status();
                        EXPECT_GE(at.value_or(0), before);
                        ++answered;
                      });
    if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  testing_support::Eventually([&] { return answered == 2000; });
  EXPECT_EQ(answered, 2000);
  stop = true;
  writer.join();
  watch.join();
  barrier.Stop();
}

}  // namespace
}  // namespace strata::reflector
