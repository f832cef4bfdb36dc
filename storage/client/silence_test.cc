// Endpoints that say nothing, or take long: how soon the others are asked, and that nothing fails
// for it.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "storage/client/client.h"
#include "storage/client/watch.h"
#include "test/support/cutting_proxy.h"
#include "test/support/fake_etcd.h"
#include "test/support/silent_listener.h"
#include "test/support/waiting.h"

namespace strata::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing_support::FakeEtcd;
using testing_support::In;

class SilentEndpoint : public testing::Test {
 protected:
  std::unique_ptr<Client> Connect(const Options& options) {
    return *Client::Create(options, obs::NullLogger(), metrics);
  }

  // Tries as often as all endpoints' turns may be too short.
  static bool Open(Client& client) {
    for (int i = 0; i < 8; ++i) {
      if (client.OpenStream("a.")->AwaitOpen(In(milliseconds(60'000))).ok()) return true;
    }
    return false;
  }

  FakeEtcd etcd;
  obs::Metrics metrics;
};

TEST_F(SilentEndpoint, ALittleReadLeavesAnEndpointThatSaysNothing) {
  FakeEtcd other;
  {
    etcd.Behave([](auto& b) { b.hang_reads = true; });
    auto client = Connect({.endpoints = {etcd.url(), other.url()}});
    const auto start = steady_clock::now();
    EXPECT_TRUE(client->Range({.key = "a"}, In(milliseconds(60'000))).ok());
    EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
    etcd.Behave([](auto& b) { b.hang_reads = false; });
  }
  auto client = Connect({.endpoints = {etcd.url(), other.url()}});
  auto found = client->RangeDirectly({.key = "a"}, In(milliseconds(20'000)));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->dialled);
  EXPECT_FALSE(client->RangeDirectly({.key = "a"}, In(milliseconds(20'000)))->dialled);
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  const auto start = steady_clock::now();
  found = client->RangeDirectly({.key = "a"}, In(milliseconds(60'000)));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10)) << "half a second, and not 30";
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->moved && found->dialled);
  found = client->RangeDirectly({.key = "a"}, In(milliseconds(20'000)));
  EXPECT_FALSE(found->moved || found->dialled);
  etcd.Behave([](auto& b) { b.hang_reads = false; });
}

// As a member that has no leader for a while, beside one that is frozen.
TEST_F(SilentEndpoint, ALittleReadComesBackToAnEndpointThatSpeaksAgain) {
  FakeEtcd other;
  for (FakeEtcd* one : {&etcd, &other}) one->Behave([](auto& b) { b.hang_reads = true; });
  auto client = Connect({.endpoints = {etcd.url(), other.url()}});
  auto read = std::async(std::launch::async, [&] {
    return client->RangeDirectly({.key = "a"}, In(milliseconds(60'000))).status();
  });
  while (other.reads() == 0) std::this_thread::yield();
  etcd.Behave([](auto& b) { b.hang_reads = false; });
  EXPECT_EQ(read.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  other.Behave([](auto& b) { b.hang_reads = false; });
  EXPECT_TRUE(read.get().ok());
}

TEST_F(SilentEndpoint, AnEndpointThatHangsUsesItsShareOfTheTimeOnce) {
  FakeEtcd other;
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  auto client = Connect({.endpoints = {etcd.url(), other.url()}});
  EXPECT_TRUE(client->Range({.key = "a", .end = "b"}, In(milliseconds(8000))).ok());
  const auto start = steady_clock::now();
  EXPECT_TRUE(client->Range({.key = "a", .end = "b"}, In(milliseconds(60'000))).ok());
  EXPECT_LT(steady_clock::now() - start, milliseconds(20'000)) << "it is known by now";
  etcd.Behave([](auto& b) { b.hang_reads = false; });
}

// A list may take long: one that does is waited for.
TEST_F(SilentEndpoint, AListIsNotLeftAsSoonAsALittleReadIs) {
  FakeEtcd other;
  for (FakeEtcd* each : {&etcd, &other}) each->Behave([](auto& b) { b.hang_reads = true; });
  auto client = Connect({.endpoints = {etcd.url(), other.url()}});
  auto list = std::async(std::launch::async, [&] {
    return client->Range({.key = "a", .end = "b"}, In(milliseconds(60'000))).status();
  });
  EXPECT_EQ(list.wait_for(milliseconds(1500)), std::future_status::timeout);
  for (FakeEtcd* each : {&etcd, &other}) each->Behave([](auto& b) { b.hang_reads = false; });
  EXPECT_TRUE(list.get().ok());
  EXPECT_EQ(etcd.reads() + other.reads(), 1);
}

// Its kernel takes connections.
TEST_F(SilentEndpoint, AnEndpointThatSaysNothingIsOpenedForAMomentAndNotForAllOfTheTime) {
  const testing_support::SilentListener silent;
  const Options way{.endpoints = {"http://" + silent.address(), etcd.url()},
                    .dial_timeout = milliseconds(60'000)};
  const auto start = steady_clock::now();
  EXPECT_TRUE(Connect(way)->Range({.key = "a", .end = "b"}, In(milliseconds(100'000))).ok());
  EXPECT_TRUE(Open(*Connect(way)));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(30)) << "a second each, and not 50";
}

TEST_F(SilentEndpoint, AStreamLeavesAnEndpointThatFallsSilent) {
  FakeEtcd other;
  testing_support::CuttingProxy proxy(etcd.url());
  auto client =
      Connect({.endpoints = {proxy.url(), other.url()}, .dial_timeout = milliseconds(60'000)});
  ASSERT_TRUE(client->Range({.key = "a"}, In(milliseconds(20'000))).ok());
  proxy.Freeze(true);
  const auto start = steady_clock::now();
  EXPECT_TRUE(Open(*client));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10)) << "a keepalive takes 15";
}

// The way to it is short, and it takes long all the same.
TEST_F(SilentEndpoint, AnAnswerOnAStreamIsWaitedForLongerEachTime) {
  FakeEtcd other;
  other.Behave([](auto& b) { b.mute_watches = true; });
  auto client = Connect({.endpoints = {etcd.url(), other.url()}});
  const auto watch = client->OpenStream("a.");
  ASSERT_TRUE(watch->AwaitOpen(In(milliseconds(60'000))).ok());
  const auto open = [&] {
    const auto start = steady_clock::now();
    EXPECT_FALSE(
        client->OpenStreamBeside(*watch, "a.", 0)->AwaitOpen(In(milliseconds(60'000))).ok());
    return steady_clock::now() - start;
  };
  open();
  EXPECT_GT(open(), milliseconds(1900)) << "twice as long as the first time";
}

// What a turn is too short for at first has time enough in a later one.
TEST_F(SilentEndpoint, WhereAllWaysAreLongAllIsDoneAllTheSame) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  for (auto* proxy : {&one, &other}) proxy->Delay(milliseconds(350));
  auto client = Connect({.endpoints = {one.url(), other.url()}});
  EXPECT_TRUE(Open(*client));
  auto found = client->Range({.key = "a"}, In(milliseconds(60'000)));
  EXPECT_TRUE(found.ok()) << found.status();
  found = client->RangeDirectly({.key = "a"}, In(milliseconds(60'000)));
  EXPECT_TRUE(found.ok()) << found.status();
}

}  // namespace
}  // namespace strata::client
