// Calls that are started and call back: whom they ask, and what ends them.
#include "storage/client/call.h"

#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/client/client.h"
#include "test/support/fake_etcd.h"
#include "test/support/silent_listener.h"
#include "test/support/waiting.h"

namespace strata::client {
namespace {

using base::StatusCode;
using std::chrono::milliseconds;
using testing_support::FakeEtcd;
using testing_support::In;
using testing_support::SilentListener;

constexpr milliseconds kLong{60'000};

// What a call came to, once it has.
class Answer {
 public:
  Client::Callback<RangeResult> Taker() {
    return [this](base::StatusOr<RangeResult> result) {
      result_ = std::move(result);
      times_++;
      called_.Notify();
    };
  }
  const base::StatusOr<RangeResult>& Await() {
    called_.WaitForNotification();
    return *result_;
  }
  bool came() const { return called_.HasBeenNotified(); }
  int times() const { return times_; }

 private:
  std::optional<base::StatusOr<RangeResult>> result_;
  std::atomic<int> times_ = 0;
  absl::Notification called_;
};

class StartedCall : public testing::Test {
 protected:
  std::unique_ptr<Client> Connect(const Options& options) {
    return *Client::Create(options, obs::NullLogger(), metrics);
  }
  void Hang(FakeEtcd& etcd, bool hang) const {
    etcd.Behave([&](auto& b) { b.hang_reads = hang; });
  }

  obs::Metrics metrics;
};

TEST_F(StartedCall, ManyAreUnderWayFromOneThread) {
  FakeEtcd etcd;
  const auto client = Connect({.endpoints = {etcd.url()}});
  const auto revision = etcd.Put("a", "1");
  constexpr int kCalls = 300;
  absl::BlockingCounter left(kCalls);
  std::atomic<int> good = 0;
  for (int i = 0; i < kCalls; ++i) {
    client->StartRange({.key = "a"}, In(kLong), nullptr, [&](const auto& result) {
      if (result.ok() && result->revision == revision) ++good;
      left.DecrementCount();
    });
  }
  left.Wait();
  EXPECT_EQ(good, kCalls);
}

TEST_F(StartedCall, GoesOnToTheEndpointThatAnswers) {
  FakeEtcd down, other;
  down.Down();
  other.Put("a", "other");
  const SilentListener silent;
  const auto client =
      Connect({.endpoints = {down.url(), "http://" + silent.address(), other.url()}});
  Answer answer;
  client->StartRange({.key = "a"}, In(milliseconds(10'000)), nullptr, answer.Taker());
  const auto& found = answer.Await();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->kvs.at(0).value, "other");
}

TEST_F(StartedCall, AsksForATokenFirst) {
  FakeEtcd etcd;
  etcd.Behave([](auto& b) { b.user = "strata", b.password = "secret"; });
  const auto client =
      Connect({.endpoints = {etcd.url()}, .username = "strata", .password = "secret"});
  Answer first, second;
  client->StartRange({.key = "a"}, In(kLong), nullptr, first.Taker());
  EXPECT_TRUE(first.Await().ok());
  etcd.ExpireTokens();
  client->StartRange({.key = "a"}, In(kLong), nullptr, second.Taker());
  EXPECT_TRUE(second.Await().ok()) << "a new token after the old one is refused";
  EXPECT_EQ(etcd.authentications(), 2);
}

TEST_F(StartedCall, AClientMayEndAtOnce) {
  for (int i = 0; i < 300; ++i) Connect({.endpoints = {"http://127.0.0.1:1"}});
}

TEST_F(StartedCall, WhatGrpcCannotSendIsNotSent) {
  FakeEtcd etcd;
  const auto client = Connect({.endpoints = {etcd.url()}});
  for (const std::string trace : {"\xff", "\t", "\n", "\x7f"}) {
    Answer answer;
    client->StartRange({.key = "a", .traceparent = trace}, In(kLong), nullptr, answer.Taker());
    EXPECT_TRUE(answer.Await().ok());
  }
}

TEST_F(StartedCall, ATokenThatCannotBeSentIsAnErrorOfTheEtcd) {
  FakeEtcd etcd;
  etcd.Behave([](auto& b) { b.user = "strata", b.password = "secret", b.tokens = "t\xc3\xbf"; });
  const auto client =
      Connect({.endpoints = {etcd.url()}, .username = "strata", .password = "secret"});
  Answer answer;
  client->StartRange({.key = "a"}, In(kLong), nullptr, answer.Taker());
  EXPECT_THAT(base::Message(answer.Await().status()), testing::HasSubstr("can't be sent"));
}

TEST_F(StartedCall, GivesUpAtItsOwnDeadlineWhileAnotherWaitsOnForTheSameConnection) {
  const SilentListener silent;
  const auto client = Connect({.endpoints = {"http://" + silent.address()}});
  Cancellation cancellation;
  Answer patient, hasty;
  client->StartRange({.key = "a"}, In(kLong), &cancellation, patient.Taker());
  client->StartRange({.key = "a"}, In(milliseconds(50)), nullptr, hasty.Taker());
  EXPECT_EQ(hasty.Await().status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(patient.came());
  cancellation.Cancel();
  EXPECT_EQ(patient.Await().status().code(), StatusCode::kCancelled);
}

TEST_F(StartedCall, WhoeverComesAfterADiallingThatNobodyWaitsForDialsAnew) {
  std::optional<SilentListener> silent(std::in_place);
  const std::string url = "http://" + silent->address();
  const auto client = Connect({.endpoints = {url}});
  for (int i = 0; i < 20; ++i) {
    Cancellation cancellation;
    Answer given_up, after;
    client->StartRange({.key = "a"}, In(kLong), &cancellation, given_up.Taker());
    cancellation.Cancel();
    client->StartRange({.key = "a"}, In(milliseconds(30)), nullptr, after.Taker());
    EXPECT_EQ(given_up.Await().status().code(), StatusCode::kCancelled);
    EXPECT_EQ(after.Await().status().code(), StatusCode::kDeadlineExceeded);
  }
}

TEST_F(StartedCall, OfACancellationThatIsOverCallsBackBeforeItReturns) {
  FakeEtcd etcd;
  const auto client = Connect({.endpoints = {etcd.url()}});
  Cancellation cancellation;
  cancellation.Cancel();
  Answer answer;
  client->StartRange({.key = "a"}, In(kLong), &cancellation, answer.Taker());
  EXPECT_TRUE(answer.came());
  EXPECT_EQ(answer.Await().status().code(), StatusCode::kCancelled);
}

TEST_F(StartedCall, IsEndedWithItsClientInWhicheverPhaseItIs) {
  FakeEtcd etcd;
  Hang(etcd, true);
  const SilentListener silent;
  for (const std::string& url : {etcd.url(), "http://" + silent.address()}) {
    auto client = Connect({.endpoints = {url}});
    Answer answer, other;
    client->StartRange({.key = "a"}, In(kLong), nullptr, answer.Taker());
    if (url == etcd.url()) {
      while (etcd.reads() == 0) std::this_thread::yield();
    }
    client->StartRange({.key = "a"}, In(kLong), nullptr, other.Taker());
    client.reset();
    for (Answer* one : {&answer, &other}) {
      ASSERT_TRUE(one->came()) << url;
      EXPECT_EQ(one->Await().status().code(), StatusCode::kCancelled) << url;
      EXPECT_EQ(one->times(), 1);
    }
  }
  Hang(etcd, false);
}

// An etcd that answers no transaction and no read, or says that there was no time for it, and has
// no callbacks itself: whoever calls it is alone with gRPC's.
class MuteEtcd : etcdserverpb::KV::Service {
 public:
  MuteEtcd() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::atomic<bool> hasty = false;
  std::atomic<int> calls = 0;

 private:
  grpc::Status Range(grpc::ServerContext* context, const etcdserverpb::RangeRequest*,
                     etcdserverpb::RangeResponse*) override {
    return Take(*context);
  }
  grpc::Status Txn(grpc::ServerContext* context, const etcdserverpb::TxnRequest*,
                   etcdserverpb::TxnResponse*) override {
    return Take(*context);
  }
  grpc::Status Take(const grpc::ServerContext& context) {
    ++calls;
    while (!hasty && !context.IsCancelled()) std::this_thread::yield();
    return {grpc::StatusCode::DEADLINE_EXCEEDED, "etcdserver: no time"};
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(StartedCall, OfAWriteIsCountedAsOne) {
  MuteEtcd etcd;
  etcd.hasty = true;
  const auto client = Connect({.endpoints = {etcd.url()}});
  EXPECT_FALSE(client->Commit(IfUnchanged({{.key = "a", .value = "1"}}), In(kLong)).ok());
  EXPECT_THAT(metrics.Text(), testing::HasSubstr("etcd_requests_total{operation=\"txn\"} 1"));
}

// The second one's turn to be opened is cut short, and there would be time for another round.
TEST_F(StartedCall, OfAWriteIsSentToNoEndpointTwice) {
  const MuteEtcd etcd;
  const SilentListener silent;
  const auto client = Connect({.endpoints = {etcd.url(), "http://" + silent.address()}});
  const auto written =
      client->Commit(IfUnchanged({{.key = "a", .value = "1"}}), In(milliseconds(4000)));
  EXPECT_FALSE(written.ok());
  EXPECT_LE(etcd.calls, 1);
}

TEST_F(StartedCall, IsNotRepeatedWhereAllSayAtOnceThatTheirTimeIsOver) {
  MuteEtcd one, other;
  one.hasty = other.hasty = true;
  const auto client = Connect({.endpoints = {one.url(), other.url()}});
  EXPECT_EQ(client->Range({.key = "a"}, In(kLong)).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_LT(one.calls + other.calls, 100);
}

TEST_F(StartedCall, MayBeTheLastThatHoldsAConnection) {
  const MuteEtcd etcd;
  const auto client = Connect({.endpoints = {etcd.url()}});
  for (int i = 0; i < 20; ++i) {
    Answer answer;
    client->StartRange({.key = "a"}, In(milliseconds(30)), nullptr, answer.Taker());
    EXPECT_EQ(answer.Await().status().code(), StatusCode::kDeadlineExceeded);
  }
}

}  // namespace
}  // namespace strata::client
