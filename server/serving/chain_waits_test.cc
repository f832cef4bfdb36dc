#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/serving/chain_fixture_test.h"
#include "test/support/mailbox.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(FilterChain, WhoWaitsForWorkIsToldWhenItsTimeIsOver) {
  absl::Notification ended;
  router.AddPath("/work", [&](const std::shared_ptr<endpoints::Call>& call) {
    held.push_back(call);
    call->OnEnd([](endpoints::Call::End) { ADD_FAILURE() << "somebody else waits now"; });
    call->OnEnd([&](endpoints::Call::End end) {
      EXPECT_EQ(end, endpoints::Call::End::kTimeIsOver);
      ended.Notify();
    });
  });
  const Answer& answered = Ask("/work?timeout=5s");
  held.back()->Respond({});
  Ask("/work?timeout=5s");
  clock.Advance(std::chrono::seconds(6));
  ended.WaitForNotification();
  EXPECT_EQ(answered.response.status, 200) << "its end came first";
}

TEST_F(FilterChain, WhoWaitsForWorkIsToldWhenItsClientIsGone) {
  int gone = 0;
  router.AddPath("/work", [&](const std::shared_ptr<endpoints::Call>& call) {
    held.push_back(call);
    call->OnEnd([&](endpoints::Call::End end) {
      EXPECT_EQ(end, endpoints::Call::End::kClientIsGone);
      ++gone;
    });
  });
  Answer& answer = answers.emplace_back();
  Recorded& client = AskFor("/work", answer);
  client.gone();
  EXPECT_EQ(gone, 1);
  held.back()->Abandon(endpoints::Call::End::kClientIsGone);
  EXPECT_THAT(metrics.Text(), HasSubstr("code=\"499\""));
  held.clear();
  EXPECT_EQ(chain.in_flight(), 0);
}

// Answers on a thread of its own, as those do who ask kube-apiserver.
class Elsewhere final : public auth::Authorizer {
 public:
  std::optional<auth::Decision> Authorize(const auth::UserInfo&, const api::RequestInfo&,
                                          Later later) const override {
    std::thread([done = later()] { done({auth::Decision::Verdict::kAllow, ""}); }).join();
    return std::nullopt;
  }
};

TEST_F(FilterChain, GoesOnOnTheConnectionsThreadWhereverAnAnswerComesFrom) {
  const Elsewhere elsewhere;
  std::thread::id routed;
  router.AddPath("/thread", [&](const std::shared_ptr<endpoints::Call>& call) {
    routed = std::this_thread::get_id();
    call->Respond({});
  });
  Chain other({}, tokens, elsewhere, router, clock, obs::NullLogger(), metrics);
  Answer& answer = answers.emplace_back();
  http::Request request = Get("/thread");
  auto exchange = std::make_unique<Recorded>(answer);
  std::vector<std::function<void()>>& posted = exchange->posted;
  exchange->queue = true;
  other.Serve(std::move(request), std::move(exchange));
  ASSERT_EQ(posted.size(), 1u);
  std::exchange(posted, {})[0]();
  EXPECT_EQ(routed, std::this_thread::get_id());
  EXPECT_TRUE(answer.answered);
}

// Tasks come from the thread of the deadlines; the test runs them.
class Posting final : public http::Exchange {
 public:
  Posting(Answer& answer, testing_support::Mailbox& mailbox)
      : recorded_(answer), mailbox_(mailbox) {}
  void Respond(http::Response response) override { recorded_.Respond(std::move(response)); }
  void Post(std::function<void()> task) override { mailbox_.Post(std::move(task)); }
  bool Admit(http::Response& response, std::string_view user, base::Shares::Claim claim) override {
    return recorded_.Admit(response, user, claim);
  }
  bool Occupy(std::string_view user, base::Shares::Claim claim) override {
    return recorded_.Occupy(user, claim);
  }
  void Resume() override { recorded_.Resume(); }
  void Abandon() override { recorded_.Abandon(); }
  void OnGone(std::function<void()> gone) override { recorded_.OnGone(std::move(gone)); }

 private:
  Recorded recorded_;
  testing_support::Mailbox& mailbox_;
};

// Keeps the questions until the test answers them.
class Slow final : public auth::Authenticator, public auth::Authorizer {
 public:
  std::optional<auth::Authentication> Authenticate(
      const http::Request&, auth::Authenticator::Later later) const override {
    authentications.push_back(later());
    return std::nullopt;
  }
  std::optional<auth::Decision> Authorize(const auth::UserInfo&, const api::RequestInfo&,
                                          auth::Authorizer::Later later) const override {
    decisions.push_back(later());
    return std::nullopt;
  }
  mutable std::deque<auth::Authenticator::Done> authentications;
  mutable std::deque<auth::Authorizer::Done> decisions;
};

// Who may ask, in whose name, and whether that is allowed: whichever question isn't answered in
// time, its request is, and what is said later changes nothing.
TEST_F(FilterChain, ARequestThatWaitsForAReviewIsAnsweredWhenItsTimeIsOver) {
  const Slow slow;
  const auth::Authentication alice{
      auth::Authentication::Result::kUser,
      std::make_shared<auth::UserInfo>(auth::UserInfo{"alice", "", {}, {}}),
      "",
      {}};
  const auth::Decision yes{auth::Decision::Verdict::kAllow, ""};
  for (const bool late_authentication : {true, false}) {
    for (const bool impersonates : {false, true}) {
      testing_support::Mailbox mailbox;
      Answer& answer = answers.emplace_back();
      Chain other({}, late_authentication ? static_cast<const auth::Authenticator&>(slow) : tokens,
                  slow, router, clock, obs::NullLogger(), metrics);
      http::Request request = Get("/echo?timeout=5s");
      if (impersonates) request.headers.Add("impersonate-user", "bob");
      other.Serve(std::move(request), std::make_unique<Posting>(answer, mailbox));
      clock.Advance(std::chrono::seconds(4));
      EXPECT_FALSE(answer.answered);
      clock.Advance(std::chrono::seconds(1));
      mailbox.RunOne();
      EXPECT_THAT(answer.Text(),
                  StartsWith("504 {\"metadata\":{},\"status\":\"Failure\",\"message\":"
                             "\"Timeout: request did not complete within"));
      if (late_authentication) {
        slow.authentications.front()(alice);
        slow.authentications.clear();
        EXPECT_TRUE(slow.decisions.empty()) << "it went on";
      } else {
        slow.decisions.front()(yes);
        slow.decisions.clear();
      }
      // The thread of the deadlines lets go of the request after it has posted.
      while (other.in_flight() != 0) std::this_thread::yield();
    }
  }
}

TEST_F(FilterChain, AReviewInTimeIsWaitedFor) {
  const Slow slow;
  testing_support::Mailbox mailbox;
  Answer& answer = answers.emplace_back();
  Chain other({}, tokens, slow, router, clock, obs::NullLogger(), metrics);
  http::Request request = Get("/echo?timeout=5s");
  other.Serve(std::move(request), std::make_unique<Posting>(answer, mailbox));
  clock.Advance(std::chrono::seconds(4));
  std::thread([&] { slow.decisions.front()({auth::Decision::Verdict::kAllow, ""}); }).join();
  slow.decisions.clear();  // they hold the chain's places
  mailbox.RunOne();
  EXPECT_EQ(answer.Text(), "200 hello alice");
}

}  // namespace
}  // namespace strata::serving
