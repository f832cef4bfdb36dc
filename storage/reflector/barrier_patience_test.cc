// How long a barrier bears with reads that fail.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>

#include "storage/reflector/barrier.h"

namespace strata::reflector {
namespace {

using base::Revision;
using base::StatusCode;
using base::StatusOr;
using std::chrono::milliseconds;

// Fails so many times, each time after a while, then answers.
class Failing : public Barrier::Backend {
 public:
  Failing(base::FakeClock& clock, milliseconds after) : clock_(clock), after_(after) {}

  StatusOr<Barrier::Target> Read(base::MonotonicTime) override {
    if (failures <= 0) return Barrier::Target{5, -1, -1};
    clock_.Advance(after_);
    --failures;
    return base::UnavailableError("leader changed");
  }
  base::Status Probe(base::MonotonicTime) override {
    return failures > 0 ? base::UnavailableError("leader changed") : base::OkStatus();
  }
  void RequestProgress() override {}
  void WatchLags() override {}
  void Restored() override {}

  std::atomic<int> failures = 0;

 private:
  base::FakeClock& clock_;
  const milliseconds after_;
};

class FreshnessPatience : public testing::Test {
 protected:
  StatusCode Ask(Barrier& barrier) {
    std::promise<StatusOr<Revision>> promise;
    barrier.WaitFresh(clock.Now() + std::chrono::seconds(20),
                      [&](StatusOr<Revision> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get().status().code();
  }

  base::FakeClock clock;
  obs::Metrics metrics;
  const Barrier::Options options{.patience = milliseconds(2000),
                                 .progress_interval = milliseconds(1),
                                 .failure_interval = milliseconds(1)};
};

TEST_F(FreshnessPatience, AShortElectionIsNotSeenAndALongOneIs) {
  Failing backend(clock, milliseconds(10));
  Barrier barrier(options, backend, clock, metrics);
  barrier.Publish(5, 5, 0, true);
  barrier.Start();
  backend.failures = 3;
  EXPECT_EQ(Ask(barrier), StatusCode::kOk);
  backend.failures = 1'000'000'000;
  EXPECT_EQ(Ask(barrier), StatusCode::kUnavailable);
  const auto start = clock.Now();
  EXPECT_EQ(Ask(barrier), StatusCode::kUnavailable);
  EXPECT_LT(clock.Now() - start, milliseconds(1500)) << "it is known by then";
  backend.failures = 0;
  EXPECT_EQ(Ask(barrier), StatusCode::kOk);
  barrier.Stop();
}

// An etcd holds a read while it elects, and refuses it then.
TEST_F(FreshnessPatience, BeginsWhenAReadHasFailedHoweverLongItTook) {
  Failing backend(clock, milliseconds(3000));
  Barrier barrier(options, backend, clock, metrics);
  barrier.Publish(5, 5, 0, true);
  barrier.Start();
  backend.failures = 1;
  EXPECT_EQ(Ask(barrier), StatusCode::kOk);
  barrier.Stop();
}

}  // namespace
}  // namespace strata::reflector
