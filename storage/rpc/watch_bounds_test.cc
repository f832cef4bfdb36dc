#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "storage/rpc/server_fixture_test.h"
#include "storage/rpc/watcher_fixture_test.h"

namespace strata::rpc {
namespace {

using ::testing::StartsWith;

TEST_F(ServerTest, LargeAnswersAreSplitForWatchesThatAllowIt) {
  Options options;
  options.watch.fragment_bytes = 3000;
  Start(options);
  Watcher watcher(channel_);
  auto create = Prefix("", kAll);
  watcher.Create(create);
  create.set_fragment(true);
  watcher.Create(create);
  watcher.Say();
  watcher.Say();
  grpc::ClientContext context;
  pb::TxnRequest request;
  for (const char* key : {"a", "b", "c"}) {
    auto* put = request.add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(std::string(1200, 'v'));
  }
  pb::TxnResponse response;
  ASSERT_TRUE(kv_->Txn(&context, request, &response).ok());
  const auto whole = watcher.Next();
  EXPECT_EQ(whole.watch_id(), 0);
  EXPECT_EQ(whole.events_size(), 3);
  const auto first = watcher.Next();
  EXPECT_EQ(first.watch_id(), 1);
  EXPECT_TRUE(first.fragment());
  EXPECT_EQ(first.events_size(), 2);
  const auto second = watcher.Next();
  EXPECT_FALSE(second.fragment());
  EXPECT_EQ(second.events_size(), 1);
}

// As etcd's stream does that can't send one: a revision is never split between answers but for
// those who allow it.
TEST_F(ServerTest, ARevisionThatNoAnswerHoldsEndsTheStreamThatWantsIt) {
  Start({.watch = {.step_bytes = 1000}}, {.max_answer_bytes = 100'000});
  for (int i = 0; i < 10; ++i) Put("k" + std::to_string(i), std::string(30'000, 'v'));
  Watcher with_prev(channel_), plain(channel_);
  auto create = Prefix("k", "l");
  plain.Create(create);
  create.set_prev_kv(true);
  with_prev.Create(create);
  plain.Say();
  with_prev.Say();
  grpc::ClientContext context;
  pb::DeleteRangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  pb::DeleteRangeResponse response;
  ASSERT_TRUE(kv_->DeleteRange(&context, request, &response).ok());
  EXPECT_EQ(plain.Next().events_size(), 10);
  EXPECT_THAT(Text(with_prev.Finish()),
              StartsWith("8 grpc: trying to send message larger than max ("));
}

TEST_F(ServerTest, AClientThatDoesNotReadMissesNothingAndHoldsNobodyUp) {
  Start();
  Watcher slow(channel_);
  slow.Create(Prefix("a", ""));
  slow.Say();
  Watcher quick(channel_);
  quick.Create(Prefix("a", ""));
  quick.Say();
  int64_t seen = 1;
  for (int i = 0; i < 200; ++i) {
    const int64_t revision = Put("a", std::string(50'000, 'v'));
    while (seen < revision && !HasFailure()) {
      const auto response = quick.Next();
      for (const auto& event : response.events()) {
        EXPECT_EQ(event.kv().mod_revision(), seen + 1);
        seen = event.kv().mod_revision();
      }
    }
  }
  int64_t late = 1;
  while (late < seen && !HasFailure()) {
    const auto response = slow.Next();
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().mod_revision(), late + 1);
      late = event.kv().mod_revision();
    }
  }
}

TEST_F(ServerTest, CommitsGatherWhileManyWatchesWereJustAnswered) {
  Options options;
  options.watch.many_answers = 3;
  options.watch.answer_time = std::chrono::milliseconds(700);
  Start(options);
  Watcher watcher(channel_);
  for (int i = 0; i < 3; ++i) watcher.Create(Prefix("a", ""));
  for (int i = 0; i < 3; ++i) watcher.Say();
  Put("a", "0");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(watcher.Say(), std::to_string(i) + "@2: +a=0@2") << "at once";
  Put("a", "1");
  Put("b", "1");
  Delete("a");
  Put("a", "2");
  watcher.AskProgress();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(watcher.Say(), std::to_string(i) + "@6: +a=1@3 -a=@5 +a=2@6");
  EXPECT_EQ(watcher.Say(), "-1@6:") << "progress waits for what it covers";
}

TEST_F(ServerTest, ManyWatchesMissNothingWhileCommitsGather) {
  Start();
  constexpr int64_t kWatches = 300, kLast = 201;
  Watcher watcher(channel_);
  for (int64_t i = 0; i < kWatches; ++i) {
    watcher.Create(Prefix("a", ""));
    watcher.Say();
  }
  std::thread writer([&] {
    while (Put("a", "v") < kLast) {
    }
  });
  std::vector<int64_t> seen(kWatches, 1);
  for (int64_t done = 0; done < kWatches && !HasFailure();) {
    const auto response = watcher.Next();
    int64_t& last = seen.at(static_cast<size_t>(response.watch_id()));
    for (const auto& event : response.events()) EXPECT_EQ(event.kv().mod_revision(), ++last);
    EXPECT_GE(response.header().revision(), last);
    if (last == kLast) ++done;
  }
  writer.join();
}

TEST_F(ServerTest, FewWatchesNeverWait) {
  Options options;
  options.watch.many_answers = 3;
  options.watch.answer_time = std::chrono::hours(1);
  Start(options);
  Watcher watcher(channel_);
  for (int i = 0; i < 2; ++i) watcher.Create(Prefix("a", ""));
  watcher.Create(Prefix("b", ""));
  for (int i = 0; i < 3; ++i) watcher.Say();
  for (int64_t revision = 2; revision < 20; ++revision) {
    ASSERT_EQ(Put("a", "v"), revision);
    const std::string said = "@" + std::to_string(revision) + ": +a=v@" + std::to_string(revision);
    EXPECT_EQ(watcher.Say(), "0" + said);
    EXPECT_EQ(watcher.Say(), "1" + said);
  }
}

TEST_F(ServerTest, WatchesBeyondTheBoundsAreRefusedWithTheReason) {
  Options options;
  options.watch.max_streams = 1;
  options.watch.max_watches_per_stream = 1;
  Start(options);
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  watcher.Create(Prefix("a", ""));
  EXPECT_EQ(watcher.Say(), "-1@1: created canceled \"etcdserver: too many watches on the stream\"");

  const auto stub = pb::Watch::NewStub(channel_);
  grpc::ClientContext context;
  Limit(context);
  const auto second = stub->Watch(&context);
  pb::WatchResponse response;
  EXPECT_FALSE(second->Read(&response));
  EXPECT_EQ(Text(second->Finish()), "8 etcdserver: too many watch streams");
}

TEST_F(ServerTest, ShutdownEndsWatchesAtOnce) {
  Start();
  auto stub = pb::Watch::NewStub(channel_);
  grpc::ClientContext context;
  Limit(context);
  const auto stream = stub->Watch(&context);
  pb::WatchRequest request;
  *request.mutable_create_request() = Prefix("a", "");
  stream->Write(request);
  pb::WatchResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Shutdown(absl::Seconds(30));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace strata::rpc
