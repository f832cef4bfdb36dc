// What a barrier says for a source that has several watches.
#include <gtest/gtest.h>

#include <vector>

#include "storage/reflector/barrier.h"

namespace strata::reflector {
namespace {

using base::Revision;

class NoBackend final : public Barrier::Backend {
 public:
  base::StatusOr<Barrier::Target> Read(base::MonotonicTime) override {
    return base::UnavailableError("not asked");
  }
  base::Status Probe(base::MonotonicTime) override { return base::OkStatus(); }
  void RequestProgress() override {}
  void WatchLags() override {}
  void Restored() override {}
};

class BarrierOfWatches : public testing::Test {
 protected:
  // The index is at `revision` for four seconds.
  void Pass(Barrier& barrier, Revision revision, bool after_list = false) {
    barrier.Publish(revision, revision, 0, after_list);
    clock.Advance(std::chrono::seconds(4));
  }

  base::FakeClock clock;
  obs::Metrics metrics;
  NoBackend backend;
};

TEST_F(BarrierOfWatches, ANamedRevisionWaitsForTheSlowest) {
  Barrier barrier({}, backend, clock, metrics);
  std::vector<Revision> come;
  const auto wait_for = [&](Revision revision) {
    barrier.WaitFor(revision, clock.Now() + std::chrono::seconds(1),
                    [&](const base::StatusOr<Revision>& at) { come.push_back(at.value_or(-1)); });
  };
  barrier.Publish(5, 5, 0, /*after_list=*/true);
  barrier.Publish(9, 9, 0, /*after_list=*/false, /*complete=*/7);
  wait_for(7);
  EXPECT_EQ(come, std::vector<Revision>{9});
  wait_for(8);
  EXPECT_EQ(come.size(), 1u) << "something of revision 8 may still come";
  barrier.Publish(9, 9, 0, /*after_list=*/false, /*complete=*/8);
  EXPECT_EQ(come, (std::vector<Revision>{9, 9}));
}

TEST_F(BarrierOfWatches, ARevisionThatAnIndexWasAtWaitsForNoOther) {
  Barrier barrier({}, backend, clock, metrics);
  int come = 0;
  const auto wait_for = [&](Revision revision) {
    barrier.WaitFor(
        revision, clock.Now() + std::chrono::seconds(1),
        [&](const base::StatusOr<Revision>& at) { come += at.ok() ? 1 : 0; },
        Barrier::Origin::kIndex);
  };
  barrier.Publish(5, 5, 0, /*after_list=*/true);
  barrier.Publish(9, 9, 0, /*after_list=*/false, /*complete=*/7);
  wait_for(9);
  EXPECT_EQ(come, 1) << "nothing that is still to come is put before it";
  wait_for(10);
  EXPECT_EQ(come, 1);
  barrier.Publish(10, 10, 0, /*after_list=*/false, /*complete=*/7);
  EXPECT_EQ(come, 2);
  EXPECT_EQ(barrier.Come(Barrier::Origin::kIndex), 10);
  EXPECT_EQ(barrier.Come(Barrier::Origin::kBackend), 7);
}

TEST_F(BarrierOfWatches, AWatchBeginsSoMuchEarlierThatNothingIsMissed) {
  Barrier barrier({.disorder = std::chrono::seconds(10)}, backend, clock, metrics);
  Pass(barrier, 100, /*after_list=*/true);
  for (const Revision revision : {110, 120, 130, 140, 150}) Pass(barrier, revision);
  EXPECT_EQ(barrier.StartOf(150), 120);
  EXPECT_EQ(barrier.StartOf(145), 120) << "it was passed with 150";
  EXPECT_EQ(barrier.StartOf(130), 100);
  EXPECT_EQ(barrier.StartOf(120), 99) << "what came before the list can't be told again";
  EXPECT_EQ(barrier.StartOf(90), 90);
  EXPECT_EQ(barrier.StartOf(170), 130) << "which hasn't come";
  Pass(barrier, 200, /*after_list=*/true);
  EXPECT_EQ(barrier.StartOf(200), 199);
}

TEST_F(BarrierOfWatches, WhatCameSoonAfterAListIsNotTakenForIt) {
  Barrier barrier({.disorder = std::chrono::seconds(10)}, backend, clock, metrics);
  barrier.Publish(100, 100, 0, /*after_list=*/true);
  clock.Advance(std::chrono::milliseconds(100));
  Pass(barrier, 105);
  EXPECT_EQ(barrier.StartOf(105), 99);
}

TEST_F(BarrierOfWatches, WhatCameInAShortTimeIsToldAgainFromItsBeginning) {
  Barrier barrier({.disorder = std::chrono::seconds(10)}, backend, clock, metrics);
  Pass(barrier, 100, /*after_list=*/true);
  barrier.Publish(110, 110, 0, /*after_list=*/false);
  clock.Advance(std::chrono::milliseconds(400));
  barrier.Publish(120, 120, 0, /*after_list=*/false);
  clock.Advance(std::chrono::milliseconds(9'800));
  Pass(barrier, 130);
  EXPECT_EQ(barrier.StartOf(130), 110) << "120 came in the ten seconds before";
}

TEST_F(BarrierOfWatches, WhatIsForgottenIsNotToldAgain) {
  Barrier barrier({.disorder = std::chrono::seconds(10)}, backend, clock, metrics);
  Pass(barrier, 100, /*after_list=*/true);
  for (Revision revision = 101; revision < 2'000; ++revision) Pass(barrier, revision);
  EXPECT_EQ(barrier.StartOf(150), 99);
}

TEST_F(BarrierOfWatches, AWatchBeginsWhereItEndedIfThereIsOneOrder) {
  Barrier barrier({}, backend, clock, metrics);
  Pass(barrier, 100, /*after_list=*/true);
  for (const Revision revision : {3, 100, 200}) EXPECT_EQ(barrier.StartOf(revision), revision);
}

}  // namespace
}  // namespace strata::reflector
