#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "storage/reflector/followed_fixture_test.h"
#include "test/support/cutting_proxy.h"

namespace strata::reflector {
namespace {

TEST_F(FaultyEtcd, AWatchThatBreaksGoesOnOnAStreamThatWasOpenAllTheTime) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  for (int round = 0; round < 6; ++round) {
    AwaitStandby();
    etcd.Put(Image("a"), std::to_string(round));
    ExpectFresh();
    (round % 2 == 0 ? one : other).CutAfter(0, 0);
    etcd.Put(Image("b"), std::to_string(round));
    ExpectFresh();
  }
  EXPECT_EQ(judge.lists, 1);
  // Both at a time: nothing is left that knows the history.
  AwaitStandby();
  one.CutAfter(0, 0);
  other.CutAfter(0, 0);
  etcd.Put(Image("c"), "x");
  ExpectFresh();
  EXPECT_GT(judge.lists, 1);
}

TEST_F(FaultyEtcd, TheOtherStreamHasATokenAndGetsANewOne) {
  etcd.Behave([](auto& b) { b.user = "strata", b.password = "secret"; });
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(),
        {.endpoints = {one.url(), other.url()}, .username = "strata", .password = "secret"});
  for (int round = 0; round < 4; ++round) {
    AwaitStandby();
    etcd.ExpireTokens();
    (round % 2 == 0 ? one : other).CutAfter(0, 0);
    etcd.Put(Image("a"), std::to_string(round));
    ExpectFresh();
  }
  EXPECT_EQ(judge.lists, 1);
}

TEST_F(FaultyEtcd, AWatchThatFallsSilentIsOvertakenByAnother) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  etcd.Put(Image("a"), "x");
  ExpectFresh();
  testing_support::CuttingProxy* const both[] = {&one, &other};
  for (int round = 0; round < 4; ++round) {
    AwaitStandby();
    auto& silent = *both[round % 2];
    silent.Freeze(true);
    for (int i = 0; i < 3; ++i) {
      etcd.Put(Image("a"), std::to_string(10 * round + i));
      etcd.Put("/elsewhere", "x");
      ExpectFresh();
    }
    silent.Freeze(false);
  }
  EXPECT_EQ(judge.lists, 1);
}

// The keepalive would take 15 s to give it up.
TEST_F(FaultyEtcd, ASilentWatchStallsNoReadWhereNothingOfOursIsWritten) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  AwaitStandby();
  const auto start = clock.Now();
  one.Freeze(true);
  ExpectFresh();
  etcd.Put("/elsewhere", "x");
  ExpectFresh();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(10));
  one.Freeze(false);
  EXPECT_EQ(judge.lists, 1);
}

// After an election nobody may write for a while, and what was asked of the other stream is long
// ago.
TEST_F(FaultyEtcd, ASilentWatchIsOvertakenHoweverLateSomethingIsWritten) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  AwaitStandby();
  one.Freeze(true);
  ExpectFresh();
  std::this_thread::sleep_for(milliseconds(2'500));
  etcd.Put(Image("a"), "x");
  ExpectFresh();
  EXPECT_EQ(judge.lists, 1);
  one.Freeze(false);
}

TEST_F(FaultyEtcd, AStartPassesAMemberByThatSaysNothing) {
  testing_support::CuttingProxy silent(etcd.url());
  silent.Freeze(true);
  const auto start = clock.Now();
  Start(Patient(), {.endpoints = {silent.url(), etcd.url()}, .dial_timeout = milliseconds(60'000)});
  ExpectFresh();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(10)) << "a keepalive takes 15";
}

TEST_F(FaultyEtcd, ALongWayIsNoSilence) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  AwaitStandby();
  for (auto* proxy : {&one, &other}) proxy->Delay(milliseconds(150));
  one.CutAfter(0, 0);  // what is read then over a new connection has to be proven
  for (int i = 0; i < 3; ++i) {
    etcd.Put(Image("a"), std::to_string(i));
    ExpectFresh();
  }
}

// Frozen before there was another stream: all is listed from another member.
TEST_F(FaultyEtcd, ASilentWatchThatNobodyCanTakeOverFromIsGivenUp) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  other.Freeze(true);
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  EXPECT_FALSE(reflector->has_standby());
  const auto start = clock.Now();
  one.Freeze(true);
  other.Freeze(false);
  etcd.Put(Image("a"), "x");
  auto waiting = Ask();
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(12));
  EXPECT_TRUE(Eventually([this] { return reflector->connection().ok(); }));
  EXPECT_EQ(judge.lists, 2);
  one.Freeze(false);
}

// A few requests fit into the window of a stream, and then none.
TEST_F(FaultyEtcd, AWatchThatTakesNothingIsOvertakenByAnother) {
  testing_support::CuttingProxy one(etcd.url());
  one.Grant({.bytes = 400});
  Start(Patient(), {.endpoints = {one.url(), etcd.url()}});
  AwaitStandby();
  for (int i = 0; i < 100; ++i) {
    etcd.Put("/elsewhere", "x");
    auto asked = Ask();
    ASSERT_EQ(asked.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_TRUE(asked.get().ok());
  }
  EXPECT_EQ(judge.lists, 1);
}

// Reads are answered all the while.
TEST_F(FaultyEtcd, StreamsOfWhichNoneIsAnsweredAreGivenUp) {
  Start({.barrier = {.read_timeout = std::chrono::seconds(1)}});
  ExpectFresh();
  AwaitStandby();
  etcd.Behave([](auto& b) { b.mute_watches = true, b.progress = FakeEtcd::Progress::kNever; });
  etcd.Put("/elsewhere", "x");
  const auto until = clock.Now() + std::chrono::seconds(20);
  while (reflector->connection().ok() && clock.Now() < until) EXPECT_FALSE(Ask().get().ok());
  EXPECT_FALSE(reflector->connection().ok());
  etcd.Behave([](auto& b) { b.mute_watches = false, b.progress = FakeEtcd::Progress::kHonest; });
  EXPECT_TRUE(Eventually([this] { return Ask().get().ok(); }));
  EXPECT_TRUE(reflector->connection().ok());
}

TEST_F(FaultyEtcd, AWatchThatMovesAgainFirstIsKept) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  for (int round = 0; round < 3; ++round) {
    AwaitStandby();
    etcd.Behave([](auto& b) { b.hold_watches = true; });
    etcd.Put(Image("a"), std::to_string(round));
    auto waiting = Ask();
    EXPECT_EQ(waiting.wait_for(milliseconds(700)), std::future_status::timeout);
    etcd.Behave([](auto& b) { b.hold_watches = false; });
    EXPECT_TRUE(waiting.get().ok());
    ExpectFresh();
  }
  EXPECT_EQ(judge.lists, 1);
}

}  // namespace
}  // namespace strata::reflector
