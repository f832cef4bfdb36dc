#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>

#include "storage/reflector/followed_fixture_test.h"
#include "test/support/cutting_proxy.h"

namespace strata::reflector {
namespace {

using base::StatusCode;

TEST_F(FaultyEtcd, AStreamThatIsCutAfterEachResponseStillGivesEverythingOnce) {
  etcd.Put(Image("a"), "x");
  Start();
  for (int responses = 1; responses <= 6; ++responses) {
    etcd.Behave([&](auto& b) {
      b.cut_after = responses, b.events_per_fragment = 2, b.revisions_per_response = 1;
    });
    etcd.CutStreams();
    FakeEtcd::Changes three;
    for (int i = 0; i < 3; ++i)
      three.emplace_back(Image("of-" + std::to_string(responses) + std::to_string(i)), "x");
    etcd.Commit(three);
    etcd.Put(Image("a"), std::to_string(responses));
    etcd.Delete(Image("of-" + std::to_string(responses) + "0"));
    // A stream that ends as soon as the list is complete leaves nobody time to read.
    if (responses > 2) ExpectFresh();
  }
}

TEST_F(FaultyEtcd, ThousandsOfKeysOfOneRevisionArriveTogether) {
  etcd.Behave([](auto& b) { b.events_per_fragment = 50; });
  Start();
  FakeEtcd::Changes many;
  for (int i = 0; i < 4000; ++i) many.emplace_back(Image("i" + std::to_string(i)), "x");
  etcd.Commit(many);
  ExpectFresh();
  EXPECT_EQ(judge.largest_batch, 4000u);
}

// Either of the two connections may fail alone.
TEST_F(FaultyEtcd, IsUnhealthyWhileReadsFailThoughTheWatchIsOpenAndNobodyAsks) {
  Start({.barrier = {.probe_interval = milliseconds(5), .failure_interval = milliseconds(5)}});
  const auto becomes = [this](bool well) {
    return Eventually([&] { return reflector->connection().ok() == well; });
  };
  EXPECT_TRUE(becomes(true));
  etcd.Behave([](auto& b) { b.fail_reads = 1'000'000'000; });
  EXPECT_TRUE(becomes(false));
  EXPECT_GE(etcd.open_watches(), 1);
  etcd.Behave([](auto& b) { b.fail_reads = 0; });
  EXPECT_TRUE(becomes(true));
}

TEST_F(FaultyEtcd, OtherRecordsMoveTheRevisionWithoutAnEvent) {
  Start();
  for (int i = 0; i < 20; ++i) {
    etcd.Put("/kubernetes.io/leases/x", std::to_string(i));
    ExpectFresh();
  }
  EXPECT_GT(etcd.progress_requests(), 0);
}

TEST_F(FaultyEtcd, AWatchWithoutProgressIsFreshOnlyByEvents) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kNever; });
  Start();
  etcd.Put(Image("a"), "x");
  ExpectFresh();
  etcd.Put("/elsewhere", "x");
  EXPECT_EQ(Ask(milliseconds(100)).get().status().code(), StatusCode::kDeadlineExceeded);
  etcd.Put(Image("a"), "y");
  ExpectFresh();
}

TEST_F(FaultyEtcd, ACompactionUnderTheWatchIsAnsweredByAList) {
  etcd.Put(Image("a"), "x");
  etcd.Put(Image("b"), "x");
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Delete(Image("a"));
  for (int i = 0; i < 5; ++i) etcd.Put(Image("b"), "y");
  etcd.Compact(etcd.revision());
  etcd.Behave([](auto& b) { b.hold_watches = false; });
  ExpectFresh();
  EXPECT_EQ(judge.lists, 2);
}

TEST_F(FaultyEtcd, ACompactionWhileTheBackendIsAwayIsAnsweredByAList) {
  etcd.Put(Image("a"), "x");
  Start();
  etcd.Down();
  etcd.Put(Image("a"), "y");
  etcd.Put(Image("b"), "y");
  etcd.Compact(etcd.revision());
  etcd.Up();
  ExpectFresh();
  EXPECT_EQ(judge.lists, 2);
}

TEST_F(FaultyEtcd, ABackendThatHangsEndsNeitherDeadlinesNorStop) {
  Start({.barrier = {.read_timeout = milliseconds(60'000)}});
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  EXPECT_EQ(Ask(milliseconds(100)).get().status().code(), StatusCode::kDeadlineExceeded);
  auto waiting = Ask();
  const auto start = clock.Now();
  reflector->Stop();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(5));
  EXPECT_EQ(waiting.get().status().code(), StatusCode::kCancelled);
  etcd.Behave([](auto& b) { b.hang_reads = false; });
}

TEST_F(FaultyEtcd, AShortElectionIsNotSeen) {
  Start();
  etcd.Put(Image("a"), "x");
  etcd.Behave([](auto& b) { b.fail_reads = 5; });
  ExpectFresh();
}

TEST_F(FaultyEtcd, ABackendThatIsAwayIsAnErrorSoonAndIsFoundAgainSoon) {
  Start({.barrier = {.patience = milliseconds(300)}});
  etcd.Down();
  EXPECT_EQ(Ask().get().status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(reflector->connection().ok());
  etcd.Put(Image("meanwhile"), "x");
  etcd.Up();
  base::StatusOr<Revision> at = base::UnavailableError("");
  const auto start = clock.Now();
  while (!at.ok() && clock.Now() - start < std::chrono::seconds(20)) at = Ask().get();
  ASSERT_TRUE(at.ok()) << at.status();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(10));
  EXPECT_EQ(judge.lists, 2);
}

TEST_F(FaultyEtcd, PagesThatAreTooLargeBecomeSmaller) {
  for (int i = 0; i < 100; ++i) etcd.Put(Image("i" + std::to_string(i)), std::string(1000, 'x'));
  etcd.Behave([](auto& b) { b.most_values_per_answer = 30; });
  Start({.list = {.page_size = 100, .page_bytes = 10'000}});
  ExpectFresh();
  EXPECT_EQ(judge.largest_page, 25u) << "half of half of what was asked for";
}

TEST_F(FaultyEtcd, AListThatFailsHalfwayBeginsAgain) {
  for (int i = 0; i < 50; ++i) etcd.Put(Image("i" + std::to_string(i)), "x");
  etcd.Behave([](auto& b) { b.fail_reads = 1; });
  Start({.list = {.page_size = 5}});
  ExpectFresh();
  // And one that the history leaves behind.
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("more"), "x");
  etcd.Put(Image("more"), "x");
  etcd.Compact(etcd.revision());
  std::thread compactor([this] {
    for (int i = 0; i < 50; ++i) {
      etcd.Put(Image("more"), "y");
      etcd.Compact(etcd.revision());
    }
    etcd.Behave([](auto& b) { b.hold_watches = false; });
  });
  compactor.join();
  ExpectFresh();
}

TEST_F(FaultyEtcd, KineIsReadAsItIs) {
  etcd.Behave([](auto& b) { b.kine = true; });
  etcd.Put(Image("a"), "x");
  etcd.Put("/openshift.io/imagestreams/ns/s", "x");
  Start();
  etcd.Put(Image("b"), "x");
  etcd.Put("/openshift.io/imagestreams/ns/t", "x");
  etcd.Delete(Image("a"));
  ExpectFresh();
  for (int round = 1; round <= 3; ++round) {
    etcd.CutStreams();
    etcd.Put(Image("c"), "x");
    ExpectFresh();
    EXPECT_EQ(judge.lists, round + 1);
    EXPECT_FALSE(reflector->has_standby()) << "nothing says that it would be of the same database";
  }
}

TEST_F(FaultyEtcd, TheJudgeSeesAProgressThatComesTooEarly) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kTooEarly; });
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("a"), "x");
  EXPECT_TRUE(Ask().get().ok());
  reflector->Stop();
  EXPECT_GT(judge.wrong, 0);
  tolerated = judge.wrong;
}

TEST_F(FaultyEtcd, WhereProgressIsKnownToComeTooEarlyNobodyListensToIt) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kTooEarly, b.version = "3.4.23"; });
  etcd.Put(Image("a"), "x");
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("b"), "x");
  EXPECT_EQ(Ask(milliseconds(200)).get().status().code(), StatusCode::kDeadlineExceeded);
  etcd.Behave([](auto& b) { b.hold_watches = false; });
  EXPECT_TRUE(Ask().get().ok());
  etcd.Put("/elsewhere", "x");
  EXPECT_TRUE(Ask().get().ok()) << "nothing of ours has changed";
  etcd.Delete(Image("a"));
  EXPECT_TRUE(Ask().get().ok());
  EXPECT_EQ(etcd.progress_requests(), 0);
}

// An event that is held, of an etcd that sends its progress too early: nobody who asks is told that
// it has come.
class DistrustsProgress : public FaultyEtcd {
 protected:
  void ExpectDistrust() {
    EXPECT_EQ(Ask(milliseconds(200)).get().status().code(), StatusCode::kDeadlineExceeded);
    etcd.Behave([](auto& b) { b.hold_watches = false; });
    EXPECT_TRUE(Ask().get().ok());
  }
};

TEST_F(DistrustsProgress, WhereAnEtcdRefusesToTellItsVersion) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kTooEarly, b.version = ""; });
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("a"), "x");
  ExpectDistrust();
}

// It listens to the stream on which it is told.
TEST_F(DistrustsProgress, WhereTheQuestionForTheVersionWasNotAnsweredAtFirst) {
  etcd.Behave([](auto& b) {
    b.progress = FakeEtcd::Progress::kTooEarly, b.version = "3.4.23", b.hang_versions = 1;
  });
  Start(
      {.barrier = {.read_timeout = std::chrono::seconds(2), .patience = std::chrono::seconds(20)}});
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("a"), "x");
  ExpectDistrust();
}

// As in a cluster that is being upgraded: the first stream's is trusted.
TEST_F(DistrustsProgress, OfAStreamThatTakesOverAndDidNotTellItsVersionAtFirst) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  AwaitStandby();
  etcd.Behave([](auto& b) {
    b.progress = FakeEtcd::Progress::kTooEarly, b.version = "3.4.23", b.hang_versions = 1;
  });
  other.CutAfter(0, 0);
  ASSERT_TRUE(Eventually([&] { return !reflector->has_standby(); }));
  AwaitStandby();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("a"), "x");
  one.CutAfter(0, 0);
  ExpectDistrust();
  EXPECT_EQ(judge.lists, 1);
}

// As of a load balancer that has forgotten them.
TEST_F(FaultyEtcd, ASilentWatchOfTheOnlyEndpointIsOpenedAgainOverAnotherConnection) {
  testing_support::CuttingProxy proxy(etcd.url());
  Start({.barrier = {.read_timeout = std::chrono::seconds(2)}},
        {.endpoints = {proxy.url()}, .keepalive_time = std::chrono::minutes(1)});
  ExpectFresh();
  AwaitStandby();
  const auto start = clock.Now();
  proxy.FreezeOpen();
  etcd.Put(Image("a"), "x");
  while (!Ask().get().ok() && clock.Now() - start < std::chrono::seconds(40)) {
  }
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(40)) << "a keepalive takes a minute";
  EXPECT_GE(judge.lists, 2);
}

}  // namespace
}  // namespace strata::reflector
