// A chain with two users that it knows, for tests: alice, dave and the aggregator may do anything,
// others nothing.
#pragma once

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "server/registry/image_v1.h"
#include "server/serving/chain.h"

namespace strata::serving {

// What was answered to one request.
struct Answer {
  http::Response response;
  bool answered = false;
  std::string Text() const {
    return std::to_string(response.status) + " " + (response.body == nullptr ? "" : *response.body);
  }
};

class Recorded final : public http::Exchange {
 public:
  explicit Recorded(Answer& answer) : answer_(answer) {}
  void Respond(http::Response response) override {
    EXPECT_FALSE(answer_.answered) << "twice";
    answer_ = {std::move(response), true};
  }
  void Post(std::function<void()> task) override {
    if (!queue) return task();
    posted.push_back(std::move(task));
  }
  bool Admit(http::Response&, std::string_view, base::Shares::Claim) override {
    return refusals-- <= 0;
  }
  bool Occupy(std::string_view, base::Shares::Claim) override { return has_place; }
  void Resume() override { ++resumed; }
  void Abandon() override { abandoned.Notify(); }
  void OnGone(std::function<void()> told) override { gone = std::move(told); }

  std::function<void()> gone;  // what a client that leaves would call
  int resumed = 0;
  absl::Notification abandoned;
  bool has_place = true;  // among connections
  int refusals = 0;       // of answers
  bool queue = false;     // tasks, instead of running them
  std::vector<std::function<void()>> posted;

 private:
  Answer& answer_;
};

// Knows the user by the token, which may be user:group, and errors on the token "bad".
class Tokens final : public auth::Authenticator {
 public:
  std::optional<auth::Authentication> Authenticate(const http::Request& request,
                                                   Later) const override {
    using auth::Authentication;
    const auth::BearerToken bearer = auth::FindBearerToken(request.headers);
    if (bearer.token.empty()) return Authentication{};
    if (bearer.token == "bad")
      return Authentication{Authentication::Result::kError, nullptr, "no", {}};
    const std::string token(bearer.token);
    const size_t colon = token == "system:aggregator" ? std::string::npos : token.find(':');
    auth::UserInfo user{token.substr(0, colon), "", {}, {}};
    if (colon != std::string::npos) user.groups = {token.substr(colon + 1)};
    return Authentication{
        Authentication::Result::kUser, std::make_shared<auth::UserInfo>(std::move(user)), "", {}};
  }
};

// And dave, and the aggregator.
class OnlyAlice final : public auth::Authorizer {
 public:
  std::optional<auth::Decision> Authorize(const auth::UserInfo& user, const api::RequestInfo&,
                                          Later) const override {
    using Verdict = auth::Decision::Verdict;
    if (user.name == "carol") return auth::Decision{Verdict::kNoOpinion, "", "no <answer>"};
    const bool known =
        user.name == "alice" || user.name == "dave" || user.name == "system:aggregator";
    return auth::Decision{known ? Verdict::kAllow : Verdict::kNoOpinion, ""};
  }
};

class ChainFixture {
 public:
  explicit ChainFixture(registry::Groups groups = {&registry::ImageV1()})
      : router(std::move(groups)) {}

  static http::Request Get(const std::string& target, const std::string& token = "alice",
                           http::Headers headers = {}) {
    http::Request request;
    request.method = "GET";
    request.target = target;
    request.headers = std::move(headers);
    if (!token.empty()) request.headers.Add("authorization", "Bearer " + token);
    return request;
  }
  // By alice. The client lives as long as the request.
  Recorded& AskFor(const std::string& target, Answer& answer) {
    auto exchange = std::make_unique<Recorded>(answer);
    Recorded& client = *exchange;
    chain.Serve(Get(target), std::move(exchange));
    return client;
  }
  Answer& Ask(const std::string& target, const std::string& token = "alice",
              http::Headers headers = {}, http::Version version = http::Version::kHttp11) {
    return AskOf(chain, target, token, std::move(headers), version);
  }
  Answer& AskOf(Chain& asked, const std::string& target, const std::string& token,
                http::Headers headers = {}, http::Version version = http::Version::kHttp11) {
    Answer& answer = answers.emplace_back();
    http::Request request = Get(target, token, std::move(headers));
    request.version = version;
    asked.Serve(std::move(request), std::make_unique<Recorded>(answer));
    return answer;
  }

  base::FakeClock clock;
  obs::Metrics metrics;
  Tokens tokens;
  OnlyAlice authorizer;
  endpoints::Router router;
  std::vector<std::shared_ptr<endpoints::Call>> held;
  std::deque<Answer> answers;
  Chain chain{{.in_flight = {.max_requests = 2}},
              tokens,
              authorizer,
              router,
              clock,
              obs::NullLogger(),
              metrics};
};

class FilterChain : public testing::Test, protected ChainFixture {
 protected:
  FilterChain() {
    router.AddPath("/echo", [](const std::shared_ptr<endpoints::Call>& call) {
      EXPECT_EQ(call->request.headers.Find("authorization"), nullptr)
          << "credentials go no further";
      http::Response response;
      response.headers.Add("content-type", "text/plain");
      response.body = std::make_shared<const std::string>("hello " + call->user->name);
      call->Respond(std::move(response));
    });
    router.AddPath("/hold",
                   [this](const std::shared_ptr<endpoints::Call>& call) { held.push_back(call); });
    router.AddPath("/throw", [](const std::shared_ptr<endpoints::Call>&) {
      throw std::runtime_error("oops");
    });
  }

  ~FilterChain() override { std::filesystem::remove(audit_path); }

  // To audit_path, by a policy with these rules.
  std::unique_ptr<audit::Log> OpenAudit(const std::string& rules) {
    auto policy = audit::Policy::Parse("apiVersion: audit.k8s.io/v1\nkind: Policy\n" + rules);
    EXPECT_TRUE(policy.ok()) << policy.status();
    auto log = audit::Log::Open({.path = audit_path}, *std::move(policy), clock, obs::NullLogger(),
                                metrics);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }

  const std::string audit_path =
      (std::filesystem::temp_directory_path() / ("strata-chain-" + std::to_string(getpid())))
          .string();
};

}  // namespace strata::serving
