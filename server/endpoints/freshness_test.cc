#include "server/endpoints/freshness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "lib/obs/metrics.h"
#include "test/support/mailbox.h"

namespace strata::endpoints {
namespace {

using base::MonotonicTime;
using reflector::Barrier;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class QuietCall final : public Call {
 public:
  explicit QuietCall(testing_support::Mailbox& loop) : loop_(loop) {}
  void Respond(http::Response response) override {
    answer = std::to_string(response.status) + " " + *response.body;
  }
  void Post(std::function<void()> task) override { loop_.Post(std::move(task)); }

  std::string answer;

 private:
  testing_support::Mailbox& loop_;
};

// Answers each read when the test says so.
class Backend final : public Barrier::Backend {
 public:
  base::StatusOr<Barrier::Target> Read(MonotonicTime) override {
    absl::MutexLock lock(&mu_);
    ++reads_;
    const auto told = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return answers_ > 0 || over_; };
    mu_.Await(absl::Condition(&told));
    if (over_) return base::UnavailableError("the test is over");
    --answers_;
    return Barrier::Target{5, -1, -1};
  }
  base::Status Probe(MonotonicTime) override { return base::OkStatus(); }
  void RequestProgress() override {}
  void WatchLags() override {}
  void Restored() override {}

  void Answer() {
    absl::MutexLock lock(&mu_);
    ++answers_;
  }
  void End() {
    absl::MutexLock lock(&mu_);
    over_ = true;
  }
  void AwaitReads(int n) {
    absl::MutexLock lock(&mu_);
    const auto enough = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return reads_ >= n; };
    mu_.Await(absl::Condition(&enough));
  }

 private:
  absl::Mutex mu_;
  int reads_ ABSL_GUARDED_BY(mu_) = 0, answers_ ABSL_GUARDED_BY(mu_) = 0;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
};

class FreshCalls : public testing::Test, protected FreshHandler {
 protected:
  FreshCalls() {
    barrier.Publish(5, 5, 0, true);
    barrier.Start();
  }
  ~FreshCalls() override {
    backend.End();
    barrier.Stop();
  }
  void ServeFresh(const std::shared_ptr<Call>& call) override {
    served.push_back(call->info->name);
  }
  std::shared_ptr<QuietCall> Come(const std::string& name, milliseconds left = seconds(20),
                                  const std::string& query = "") {
    auto call = std::make_shared<QuietCall>(loop);
    auto info = std::make_shared<api::RequestInfo>();
    info->name = name;
    info->query = api::Query(query);
    call->info = std::move(info);
    call->deadline = clock.Now() + left;
    freshness.Wait(call, *this);
    return call;
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  Backend backend;
  Barrier barrier{{.patience = {}}, backend, clock, metrics};
  Freshness freshness{barrier, clock};
  testing_support::Mailbox loop;
  std::vector<std::string> served;
};

TEST_F(FreshCalls, WhatComesInOneTurnWaitsTogetherAndIsServedInOrder) {
  for (const char* name : {"a", "b", "c"}) Come(name);
  EXPECT_EQ(loop.posted(), 1u) << "the end of the turn";
  loop.RunOne();
  backend.Answer();
  loop.RunOne();
  EXPECT_THAT(served, ElementsAre("a", "b", "c"));
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_freshness_batch_size_sum 3\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_freshness_wait_seconds_count 3\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_freshness_waiters 0\n"));
}

TEST_F(FreshCalls, WhoComesAfterTheTurnNeedsAReadOfItsOwn) {
  Come("a");
  loop.RunOne();
  backend.AwaitReads(1);
  Come("b");
  loop.RunOne();
  backend.Answer();
  loop.RunOne();
  EXPECT_THAT(served, ElementsAre("a")) << "the read may be older than the second request";
  backend.AwaitReads(2);
  backend.Answer();
  loop.RunOne();
  EXPECT_THAT(served, ElementsAre("a", "b"));
}

TEST_F(FreshCalls, WhoHasLittleTimeDoesNotHoldOthersToIt) {
  const auto hurried = Come("hurried", milliseconds(20));
  Come("patient");
  loop.RunOne();
  loop.RunOne();
  loop.RunOne();
  EXPECT_THAT(hurried->answer, StartsWith("504 "));
  EXPECT_THAT(served, ElementsAre());
  backend.Answer();
  backend.Answer();
  loop.RunOne();
  EXPECT_THAT(served, ElementsAre("patient"));
}

TEST_F(FreshCalls, ARevisionThatIsThereNeedsNoRead) {
  Come("a", seconds(20), "resourceVersion=5");
  loop.RunOne();
  EXPECT_THAT(served, ElementsAre("a"));
  EXPECT_THAT(Come("b", seconds(20), "resourceVersion=x")->answer, StartsWith("500 "));
}

TEST_F(FreshCalls, ARevisionThatDoesNotComeIsNamedAsANumber) {
  const auto call = Come("a", milliseconds(20), "resourceVersion=007");
  loop.RunOne();
  EXPECT_THAT(call->answer, HasSubstr("Too large resource version: 7, current: 5"));
}

TEST_F(FreshCalls, ARevisionThatOneWatchHasComeToIsNotSaidToBeCurrent) {
  barrier.Publish(9, 9, 0, /*after_list=*/false, /*complete=*/6);
  const auto call = Come("a", milliseconds(20), "resourceVersion=7");
  loop.RunOne();
  EXPECT_THAT(call->answer, HasSubstr("Too large resource version: 7, current: 6"));
}

}  // namespace
}  // namespace strata::endpoints
