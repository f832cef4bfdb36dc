#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "storage/rpc/server_fixture_test.h"
#include "storage/rpc/watcher_fixture_test.h"

namespace strata::rpc {
namespace {

TEST_F(ServerTest, AWatchSeesWhatComesAfterIt) {
  Start();
  Put("a", "0");
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", "b"));
  EXPECT_EQ(watcher.Say(), "0@2: created");
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "0@3: +a=1@3");
  Put("x", "1");
  Delete("a");
  EXPECT_EQ(watcher.Say(), "0@5: -a=@5");
}

TEST_F(ServerTest, AWatchFromThePastSeesTheHistoryThenThePresent) {
  Start();
  Put("a", "0");
  Put("b", "0");
  Put("a", "1");
  Delete("a");
  Watcher watcher(channel_);
  auto create = Prefix("a", "", 2);
  create.set_prev_kv(true);
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "0@5: created");
  EXPECT_EQ(watcher.Say(), "0@5: +a=0@2 +a=1@4(0) -a=@5(1)");
  Put("a", "2");
  EXPECT_EQ(watcher.Say(), "0@6: +a=2@6");
}

TEST_F(ServerTest, AWatchFromTheFutureWaitsForIt) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix(kAll, kAll, 4));
  EXPECT_EQ(watcher.Say(), "0@1: created");
  Put("a", "2");
  Put("a", "3");
  Put("a", "4");
  EXPECT_EQ(watcher.Say(), "0@4: +a=4@4");
}

TEST_F(ServerTest, ATransactionComesInOneAnswer) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix("", kAll));
  watcher.Say();
  grpc::ClientContext context;
  pb::TxnRequest request;
  for (const char* key : {"c", "a", "b"})
    request.add_success()->mutable_request_put()->set_key(key);
  pb::TxnResponse response;
  ASSERT_TRUE(kv_->Txn(&context, request, &response).ok());
  EXPECT_EQ(watcher.Say(), "0@2: +c=@2 +a=@2 +b=@2");
}

TEST_F(ServerTest, FiltersKeepEventsAway) {
  Start();
  Watcher watcher(channel_);
  auto no_put = Prefix("a", "");
  no_put.add_filters(pb::WatchCreateRequest::NOPUT);
  auto no_delete = Prefix("a", "");
  no_delete.add_filters(pb::WatchCreateRequest::NODELETE);
  watcher.Create(no_put);
  watcher.Create(no_delete);
  watcher.Say();
  watcher.Say();
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "1@2: +a=1@2");
  Delete("a");
  EXPECT_EQ(watcher.Say(), "0@3: -a=@3");
}

TEST_F(ServerTest, WatchIdsAreChosenOrGivenAndNotGivenTwice) {
  Start();
  Watcher watcher(channel_);
  auto create = Prefix("a", "");
  create.set_watch_id(7);
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "7@1: created");
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(),
            "-1@1: created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"");
  create.set_watch_id(0);
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "0@1: created");
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "1@1: created");
  watcher.Create(Prefix("b", "a"));
  EXPECT_EQ(watcher.Say(), "-1@1: created canceled \"mvcc: watcher range is empty\"");
}

TEST_F(ServerTest, ACanceledWatchIsSilent) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", ""));
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  watcher.Say();
  watcher.Cancel(0);
  watcher.Cancel(99);
  EXPECT_EQ(watcher.Say(), "0@1: canceled");
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "1@2: +a=1@2");
}

TEST_F(ServerTest, AWatchBelowTheCompactedRevisionIsToldAndCanceled) {
  Start();
  for (int i = 0; i < 5; ++i) Put("a", std::to_string(i));
  Compact(4);
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", "", 3));
  EXPECT_EQ(watcher.Say(), "0@6: created");
  EXPECT_EQ(watcher.Say(), "0@6: canceled compacted=4");
  watcher.Create(Prefix("a", "", 4));
  EXPECT_EQ(watcher.Say(), "1@6: created");
  EXPECT_EQ(watcher.Say(), "1@6: +a=2@4 +a=3@5 +a=4@6");
}

TEST_F(ServerTest, ProgressCoversRevisionsWithoutEvents) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  const int64_t revision = Put("elsewhere", "1");
  watcher.AskProgress();
  EXPECT_EQ(watcher.Say(), "-1@" + std::to_string(revision) + ":");
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "0@3: +a=1@3");
}

TEST_F(ServerTest, ProgressNeverOvertakesEvents) {
  Start();
  for (int i = 0; i < 300; ++i) Put("a", std::string(20'000, 'v'));
  Watcher watcher(channel_);
  watcher.Create(Prefix("b", "c"));
  watcher.Create(Prefix("a", "", 1));
  watcher.AskProgress();
  watcher.Say();
  watcher.Say();
  int64_t last = 0;
  for (auto response = watcher.Next(); !HasFailure(); response = watcher.Next()) {
    if (response.watch_id() == -1) {
      EXPECT_EQ(response.header().revision(), 301);
      break;
    }
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().mod_revision(), std::max<int64_t>(last + 1, 2));
      last = event.kv().mod_revision();
    }
  }
  EXPECT_EQ(last, 301);
}

TEST_F(ServerTest, QuietWatchesThatAskForItHearOfProgress) {
  Options options;
  options.watch.progress_interval = std::chrono::milliseconds(100);
  Start(options);
  Put("x", "1");
  Watcher watcher(channel_);
  auto create = Prefix("a", "");
  create.set_progress_notify(true);
  watcher.Create(create);
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  watcher.Say();
  EXPECT_EQ(watcher.Say(), "0@2:");
  Put("x", "2");
  std::string said = watcher.Say();
  while (said == "0@2:" && !HasFailure()) said = watcher.Say();
  EXPECT_EQ(said, "0@3:");
}

}  // namespace
}  // namespace strata::rpc
