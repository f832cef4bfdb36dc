#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "server/serving/chain_fixture_test.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;

// Says "piece", and then what the test wants.
class Pieces final : public http::Body {
 public:
  explicit Pieces(Rest rest) : rest_(rest) {}
  Piece Next(std::span<char> buffer) override {
    if (rest_ == Rest::kMore) throw std::runtime_error("oops");
    return {std::string_view("piece").copy(buffer.data(), buffer.size()), rest_};
  }

 private:
  const Rest rest_;
};

// What is at a path that answers with such a body.
void AddFlow(endpoints::Router& router, const std::string& path, http::Body::Rest rest) {
  router.AddPath(path, [rest](const std::shared_ptr<endpoints::Call>& call) {
    http::Response response;
    response.flow = std::make_unique<Pieces>(rest);
    call->Respond(std::move(response));
  });
}

TEST_F(FilterChain, ARequestWhoseBodyFlowsEndsWithIt) {
  std::unique_ptr<audit::Log> audit = OpenAudit("rules: [{level: Metadata}]\n");
  obs::Metrics own;
  Chain audited({}, tokens, authorizer, router, clock, obs::NullLogger(), own, audit.get());
  AddFlow(router, "/flow", http::Body::Rest::kNone);
  Answer& answer = AskOf(audited, "/flow", "alice");
  EXPECT_NE(answer.response.headers.Find("audit-id"), nullptr);
  EXPECT_EQ(audited.in_flight(), 1);
  EXPECT_THAT(own.Text(), testing::Not(HasSubstr("apiserver_request_total{code=\"200\"")));
  char buffer[64];
  EXPECT_EQ(answer.response.flow->Next(buffer).bytes, 5u);
  answer.response.flow = nullptr;
  EXPECT_EQ(audited.in_flight(), 0);
  EXPECT_THAT(own.Text(), HasSubstr("apiserver_request_total{code=\"200\""));
  EXPECT_THAT(own.Text(), testing::ContainsRegex("apiserver_response_sizes_sum\\{[^}]*\\} 5\n"));
  audit.reset();
  std::ifstream file(audit_path);
  const std::string lines{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(lines, HasSubstr("ResponseComplete"));
  EXPECT_THAT(lines, testing::Not(HasSubstr("ResponseStarted")))
      << "that is said of what may go on for ever";
}

TEST_F(FilterChain, WhatABodyThrowsBreaksItOff) {
  AddFlow(router, "/flow", http::Body::Rest::kMore);
  Answer& answer = Ask("/flow");
  char buffer[64];
  EXPECT_EQ(answer.response.flow->Next(buffer).rest, http::Body::Rest::kBroken);
  answer.response.flow = nullptr;
  EXPECT_THAT(metrics.Text(), HasSubstr("apiserver_request_terminations_total{code=\"500\""));
  EXPECT_THAT(metrics.Text(), HasSubstr("apiserver_request_aborts_total{group="));
}

TEST_F(FilterChain, ABodyIsBrokenOffWhenItsTimeIsOver) {
  AddFlow(router, "/flow", http::Body::Rest::kLater);
  Answer& answer = answers.emplace_back();
  Recorded& client = AskFor("/flow?timeout=5s", answer);
  EXPECT_FALSE(client.abandoned.HasBeenNotified());
  clock.Advance(std::chrono::seconds(6));
  client.abandoned.WaitForNotification();
  EXPECT_THAT(metrics.Text(), HasSubstr("apiserver_request_terminations_total{code=\"504\""));
  EXPECT_THAT(metrics.Text(), HasSubstr("apiserver_request_aborts_total{group="));
  answer.response.flow = nullptr;
}

TEST_F(FilterChain, WhatIsThrownAfterAnAnswerHasBegunBreaksItsBodyOff) {
  router.AddPath("/flow", [](const std::shared_ptr<endpoints::Call>& call) {
    http::Response response;
    response.flow = std::make_unique<Pieces>(http::Body::Rest::kLater);
    call->Respond(std::move(response));
    throw std::runtime_error("oops");
  });
  Answer& answer = answers.emplace_back();
  Recorded& client = AskFor("/flow", answer);
  EXPECT_EQ(answer.response.status, 200);
  EXPECT_TRUE(client.abandoned.HasBeenNotified());
  answer.response.flow = nullptr;
}

}  // namespace
}  // namespace strata::serving
