#include "server/serving/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "server/serving/chain_fixture_test.h"
#include "test/support/mailbox.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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

TEST_F(FilterChain, LeadsToTheHandlerAndAddsWhatEveryAnswerHas) {
  const Answer& answer = Ask("/echo");
  EXPECT_EQ(answer.Text(), "200 hello alice");
  std::vector<std::string> names;
  for (const http::Header& header : answer.response.headers) names.push_back(header.name);
  EXPECT_THAT(names, testing::ElementsAre("audit-id", "cache-control", "content-type"));
  EXPECT_EQ(*answer.response.headers.Find("cache-control"), "no-store");
}

TEST_F(FilterChain, RefusesInTheOrderOfTheChain) {
  EXPECT_THAT(Ask("/%zz").Text(), StartsWith("400 400 Bad Request"));
  EXPECT_THAT(Ask("/echo?timeout=xyz", "").Text(),
              HasSubstr("invalid timeout specified in the request URL"));
  EXPECT_THAT(Ask("/echo", "bad").Text(), StartsWith("401 "));
  EXPECT_THAT(Ask("/echo", "").Text(), StartsWith("401 ")) << "nobody is anonymous here";
  EXPECT_THAT(Ask("/echo", "bob").Text(),
              HasSubstr("User \\\"bob\\\" cannot get path \\\"/echo\\\""));
  EXPECT_EQ(Ask("/echo", "carol").Text(),
            "500 Internal Server Error: \"/echo\": no &lt;answer&gt;\n");
  EXPECT_EQ(Ask("/apis/g/v1/watch", "").Text(),
            "500 Internal Server Error: \"/apis/g/v1/watch\": failed to create RequestInfo: unable "
            "to determine kind and "
            "namespace from url, /apis/g/v1/watch\n");
  EXPECT_THAT(Ask("/nothing").Text(), StartsWith("404 "));
  EXPECT_THAT(Ask("/echo?timeout=-1s").Text(), StartsWith("504 "));
}

TEST_F(FilterChain, AnUnauthenticatedHttp2ConnectionIsNotKept) {
  EXPECT_TRUE(Ask("/echo", "bad", {}, http::Version::kHttp2).response.close_connection);
  EXPECT_FALSE(Ask("/echo", "bad").response.close_connection);
}

TEST_F(FilterChain, AnAnonymousHttp2ConnectionIsNotKeptUnlessItIsAProxys) {
  class Anonymous final : public auth::Authenticator {
    std::optional<auth::Authentication> Authenticate(const http::Request&, Later) const override {
      return auth::Authentication{
          auth::Authentication::Result::kUser,
          std::make_shared<auth::UserInfo>(auth::UserInfo{auth::kAnonymous, "", {}, {}}),
          "",
          {}};
    }
  };
  const Anonymous anonymous;
  Chain other({}, anonymous, authorizer, router, clock, obs::NullLogger(), metrics);
  const auto closes = [&](http::Version version, const http::Peer& peer) {
    Answer& answer = answers.emplace_back();
    http::Request request = Get("/echo", "");
    request.version = version;
    request.peer = std::make_shared<http::Peer>(peer);
    other.Serve(std::move(request), std::make_unique<Recorded>(answer));
    return answer.response.close_connection;
  };
  EXPECT_TRUE(closes(http::Version::kHttp2, {}));
  EXPECT_FALSE(closes(http::Version::kHttp2, {"", {"a certificate"}}));
  EXPECT_FALSE(closes(http::Version::kHttp11, {}));
}

TEST_F(FilterChain, HowOftenHttp2ConnectionsEndIsChosen) {
  Chain always({.goaway_chance = 1}, tokens, authorizer, router, clock, obs::NullLogger(), metrics);
  const auto closes = [&](Chain& asked, http::Version version) {
    const Answer& answer = AskOf(asked, "/echo", "alice", {}, version);
    EXPECT_EQ(answer.response.status, 200);
    return answer.response.close_connection;
  };
  EXPECT_TRUE(closes(always, http::Version::kHttp2));
  EXPECT_FALSE(closes(always, http::Version::kHttp11));
  EXPECT_FALSE(closes(chain, http::Version::kHttp2));
}

TEST_F(FilterChain, AnExceptionEndsItsRequestAlone) {
  EXPECT_THAT(Ask("/throw").Text(), StartsWith("500 This request caused apiserver to panic."));
  EXPECT_EQ(Ask("/echo").Text(), "200 hello alice");
  EXPECT_EQ(chain.in_flight(), 0);
}

TEST_F(FilterChain, AnExceptionOnAnotherThreadEndsItsRequestAlone) {
  router.AddPath("/worker", [](const std::shared_ptr<endpoints::Call>& call) {
    std::thread([call] { call->Guard([] { throw std::runtime_error("oops"); }); }).join();
  });
  EXPECT_THAT(Ask("/worker").Text(), StartsWith("500 This request caused apiserver to panic."));
}

TEST_F(FilterChain, RequestsOverTheLimitAreRefusedUntilOthersEnd) {
  Ask("/hold");
  Ask("/hold");
  const Answer& refused = Ask("/echo");
  EXPECT_THAT(refused.Text(), StartsWith("429 Too many requests"));
  EXPECT_EQ(*refused.response.headers.Find("retry-after"), "1");
  held.clear();
  EXPECT_EQ(Ask("/echo").Text(), "200 hello alice");
}

TEST_F(FilterChain, ARequestInAnothersNameNeedsTheRightToThat) {
  http::Headers headers;
  headers.Add("impersonate-user", "bob");
  EXPECT_THAT(Ask("/echo", "bob", headers).Text(),
              HasSubstr("users \\\"bob\\\" is forbidden: User \\\"bob\\\" cannot impersonate "
                        "resource \\\"users\\\" in API group \\\"\\\" at the cluster scope"));
  EXPECT_THAT(Ask("/echo", "alice", headers).Text(),
              HasSubstr("User \\\"bob\\\" cannot get path \\\"/echo\\\""))
      << "what is asked is then asked by bob";
  http::Headers group;
  group.Add("impersonate-group", "system:masters");
  EXPECT_THAT(Ask("/echo", "alice", group).Text(),
              StartsWith("500 Internal Server Error: \"/echo\": requested [{Group"));
}

TEST_F(FilterChain, MastersAreServedOverTheLimit) {
  Ask("/hold");
  Ask("/hold");
  EXPECT_THAT(Ask("/echo").Text(), StartsWith("429 "));
  EXPECT_EQ(Ask("/echo", "alice:system:masters").Text(), "200 hello alice");
}

TEST_F(FilterChain, OneUserLeavesPlacesForOthers) {
  Chain wide({.in_flight = {.max_requests = 40}}, tokens, authorizer, router, clock,
             obs::NullLogger(), metrics);
  for (int i = 0; i < 100; ++i) AskOf(wide, "/hold", "alice");
  EXPECT_EQ(wide.in_flight(), 30);
  EXPECT_THAT(AskOf(wide, "/echo", "alice").Text(), StartsWith("429 "));
  EXPECT_EQ(AskOf(wide, "/echo", "dave").Text(), "200 hello dave");
  for (int i = 0; i < 100; ++i) AskOf(wide, "/hold", "dave");
  EXPECT_THAT(AskOf(wide, "/echo", "dave").Text(), StartsWith("429 "));
  EXPECT_LT(wide.in_flight(), 40);
  EXPECT_THAT(metrics.Text(), HasSubstr("apiserver_request_terminations_total"));
  held.clear();
}

TEST_F(FilterChain, ProbesDiscoveryAndTheAggregatorAreServedOverTheLimit) {
  for (const char* path : {"/livez", "/readyz", "/healthz", "/openapi/v2"}) {
    router.AddPath(path, [](const std::shared_ptr<endpoints::Call>& call) { call->Respond({}); });
  }
  Ask("/hold");
  Ask("/hold");
  for (const char* path : {"/livez", "/readyz", "/healthz", "/readyz?verbose"})
    EXPECT_EQ(Ask(path).response.status, 200) << path;
  for (const char* path : {"/apis", "/apis/image.openshift.io", "/apis/image.openshift.io/v1"})
    EXPECT_NE(Ask(path).response.status, 429) << path;
  EXPECT_EQ(Ask("/openapi/v2").response.status, 429);
  EXPECT_EQ(Ask("/openapi/v2", "system:aggregator").response.status, 200);
}

TEST_F(FilterChain, WhoWaitsForARevisionHasNoPlaceAmongTheServed) {
  obs::Metrics own;
  Chain narrow({.in_flight = {.max_requests = 2, .max_revision_waiters = 4}}, tokens, authorizer,
               router, clock, obs::NullLogger(), own);
  int waiting = 0, refused = 0;
  router.AddPath("/wait", [&](const std::shared_ptr<endpoints::Call>& call) {
    if (!call->BeginRevisionWait()) {
      ++refused;
      return call->Fail(api::TooManyRequests());
    }
    ++waiting;
    held.push_back(call);
  });
  for (int i = 0; i < 10; ++i) AskOf(narrow, "/wait", "alice");
  EXPECT_EQ(waiting, 3);
  EXPECT_EQ(refused, 7);
  EXPECT_EQ(narrow.in_flight(), 0);
  EXPECT_EQ(AskOf(narrow, "/echo", "alice").Text(), "200 hello alice");
  AskOf(narrow, "/hold", "alice");
  AskOf(narrow, "/hold", "alice");
  EXPECT_FALSE(held[0]->EndRevisionWait()) << "it needs a place again to go on";
  held.pop_back();
  held.pop_back();
  EXPECT_TRUE(held[1]->EndRevisionWait());
  EXPECT_EQ(narrow.in_flight(), 1);
  EXPECT_THAT(own.Text(), HasSubstr("strata_revision_waiters 1"));
  held.clear();
}

TEST_F(FilterChain, WhoWaitsForWorkIsToldWhenItsTimeIsOver) {
  absl::Notification ended;
  router.AddPath("/work", [&](const std::shared_ptr<endpoints::Call>& call) {
    held.push_back(call);
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

// audit.go auditResponseWriter.processCode: whatever the answer is.
TEST_F(FilterChain, OfAWatchTheBeginningOfTheAnswerIsAudited) {
  std::unique_ptr<audit::Log> audit = OpenAudit("rules: [{level: Metadata}]\n");
  Chain audited({}, tokens, authorizer, router, clock, obs::NullLogger(), metrics, audit.get());
  const std::string path = "/apis/image.openshift.io/v1/namespaces/n/nothing";
  EXPECT_THAT(AskOf(audited, path + "?watch=1", "alice").Text(), StartsWith("404 "));
  EXPECT_THAT(AskOf(audited, path, "alice").Text(), StartsWith("404 "));
  audit.reset();
  std::ifstream file(audit_path);
  std::string stages;
  for (std::string line; std::getline(file, line);) {
    for (const char* stage : {"RequestReceived", "ResponseStarted", "ResponseComplete"})
      if (line.find(stage) != std::string::npos) stages += std::string(stage) + " ";
    EXPECT_EQ(line.find(R"("code":404)") != std::string::npos,
              line.find("RequestReceived") == std::string::npos);
  }
  EXPECT_EQ(stages,
            "RequestReceived ResponseStarted ResponseComplete RequestReceived ResponseComplete ");
}

TEST_F(FilterChain, AWatchHasNoPlaceAmongTheServedAndNoTimeout) {
  Ask("/hold");
  Ask("/hold");
  const std::string path = "/apis/image.openshift.io/v1/namespaces/n/nothing";
  EXPECT_THAT(Ask(path + "?timeout=xyz").Text(), StartsWith("400 "));
  EXPECT_THAT(Ask(path).Text(), StartsWith("429 "));
  EXPECT_THAT(Ask(path + "?watch=1&timeout=xyz").Text(), StartsWith("404 "));
  held.clear();
}

TEST_F(FilterChain, OpenApiMayBeKeptAndNothingElse) {
  const auto kept = [&](const std::string& path, const std::string& token = "alice") {
    return *Ask(path, token).response.headers.Find("cache-control");
  };
  for (const char* token : {"alice", "bob", ""}) {
    EXPECT_EQ(kept("/openapi/v3", token), "no-cache, private") << "404, 403, 401";
    EXPECT_EQ(kept("/openapi/v3/apis/none", token), "no-cache, private");
    EXPECT_EQ(kept("/openapi", token), "no-store");
    EXPECT_EQ(kept("/echo", token), "no-store");
  }
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
  Posting(Answer& answer, test::Mailbox& mailbox) : recorded_(answer), mailbox_(mailbox) {}
  void Respond(http::Response response) override { recorded_.Respond(std::move(response)); }
  void Post(std::function<void()> task) override { mailbox_.Post(std::move(task)); }
  bool Admit(http::Response& response, std::string_view user, base::Shares::Claim claim) override {
    return recorded_.Admit(response, user, claim);
  }
  void Resume() override { recorded_.Resume(); }
  void Abandon() override { recorded_.Abandon(); }
  void OnGone(std::function<void()> gone) override { recorded_.OnGone(std::move(gone)); }

 private:
  Recorded recorded_;
  test::Mailbox& mailbox_;
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
      test::Mailbox mailbox;
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
  test::Mailbox mailbox;
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

TEST_F(FilterChain, RequestsAreAuditedAsTheirPolicySays) {
  std::unique_ptr<audit::Log> audit =
      OpenAudit("rules:\n- {level: None, nonResourceURLs: [/hold]}\n- {level: Metadata}\n");
  Chain audited({}, tokens, authorizer, router, clock, obs::NullLogger(), metrics, audit.get());
  const auto ask = [&](const std::string& target, const std::string& token,
                       const std::string& impersonated = "") {
    http::Request request = Get(target, token);
    request.headers.Add("audit-id", "front");
    if (!impersonated.empty()) request.headers.Add("impersonate-user", impersonated);
    audited.Serve(std::move(request), std::make_unique<Recorded>(answers.emplace_back()));
  };
  ask("/echo", "alice");
  ask("/hold", "alice");
  ask("/echo", "bad");
  ask("/echo", "alice", "bob");
  held.clear();
  audit.reset();
  std::ifstream file(audit_path);
  std::vector<std::string> seen;
  for (std::string line; std::getline(file, line);) {
    EXPECT_THAT(line, HasSubstr(R"("auditID":"front")"));
    EXPECT_THAT(line, testing::Not(HasSubstr("Bearer")));
    std::string what;
    for (const char* part :
         {"RequestReceived", "ResponseStarted", "ResponseComplete", R"("username":"alice")",
          R"("impersonatedUser":{"username":"bob")", R"("code":200)", R"("code":401)",
          R"("code":403)", R"(decision":"allow")", R"(decision":"forbid")"}) {
      if (line.find(part) != std::string::npos) what += std::string(what.empty() ? "" : " ") + part;
    }
    seen.push_back(what);
  }
  EXPECT_THAT(seen,
              testing::ElementsAre(
                  R"(RequestReceived "username":"alice")",
                  R"(ResponseComplete "username":"alice" "code":200 decision":"allow")",
                  R"(ResponseStarted "code":401)", R"(RequestReceived "username":"alice")",
                  R"(ResponseComplete "username":"alice" "impersonatedUser":{"username":"bob" )"
                  R"("code":403 decision":"forbid")"));
}

TEST_F(FilterChain, NoLineOfTheLogHasATokenOfTheQuery) {
  std::string lines;
  const obs::Logger logger(obs::LogFormat::kText, 10, clock,
                           [&](std::string_view line) { lines += line; });
  Chain logged({}, tokens, authorizer, router, clock, logger, metrics);
  for (const auto& [path, token] :
       {std::pair{"/echo", "alice"}, {"/echo", "carol"}, {"/throw", "alice"}}) {
    http::Request request = Get(std::string(path) + "?a=b&access_token=SECRET", token);
    logged.Serve(std::move(request), std::make_unique<Recorded>(answers.emplace_back()));
  }
  EXPECT_THAT(lines, HasSubstr("Could not tell whether"));
  EXPECT_THAT(lines, HasSubstr("ended with an exception"));
  EXPECT_THAT(lines, testing::Not(HasSubstr("SECRET")));
}

// With and without an audit log, which sees the same.
TEST_F(FilterChain, TheAccessLogNamesWhoAskedForWhatAndWhatCameOfIt) {
  std::unique_ptr<audit::Log> audit = OpenAudit("rules: [{level: Metadata}]\n");
  const struct {
    const char *token, *impersonated;
    const char *user, *code;
  } kCases[] = {
      {"alice", "", R"(user="alice" impersonatedUser="" )", "200"},
      {"bob", "", R"(user="bob" impersonatedUser="" )", "403"},
      {"alice", "dave", R"(user="alice" impersonatedUser="dave" )", "200"},
      {"alice", "bob", R"(user="alice" impersonatedUser="bob" )", "403"},
      {"bob", "alice", R"(user="bob" impersonatedUser="" )", "403"},
      {"bad", "", R"(user="" impersonatedUser="" )", "401"},
  };
  for (const int verbosity : {2, 3}) {
    for (audit::Log* const audits : {static_cast<audit::Log*>(nullptr), audit.get()}) {
      std::vector<std::string> lines;
      const obs::Logger logger(obs::LogFormat::kText, verbosity, clock, [&](std::string_view line) {
        if (line.find("] \"HTTP\"") != line.npos) lines.emplace_back(line);
      });
      Chain logged({}, tokens, authorizer, router, clock, logger, metrics, audits);
      for (const auto& c : kCases) {
        http::Request request = Get("/echo?q=\"" + std::string(5000, 'x'), c.token);
        request.peer = std::make_shared<http::Peer>(http::Peer{"192.0.2.1:5312", {}});
        request.headers.Add("user-agent", "oc/4");
        request.headers.Add("audit-id", "front");
        request.headers.Add("traceparent",
                            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        if (*c.impersonated != '\0') request.headers.Add("impersonate-user", c.impersonated);
        lines.clear();
        logged.Serve(std::move(request), std::make_unique<Recorded>(answers.emplace_back()));
        if (verbosity < 3) {
          EXPECT_THAT(lines, testing::IsEmpty());
          continue;
        }
        ASSERT_EQ(lines.size(), 1u);
        EXPECT_THAT(lines[0], HasSubstr(R"("HTTP" verb="GET" URI="/echo?q=\"xxx)"));
        EXPECT_THAT(lines[0], HasSubstr(R"(x…" latency_us=0 userAgent="oc/4" audit-ID="front" )"
                                        R"(traceID="0af7651916cd43dd8448eb211c80319c" )"
                                        R"(srcIP="192.0.2.1:5312" )"));
        EXPECT_THAT(lines[0], HasSubstr(c.user));
        EXPECT_THAT(lines[0], testing::EndsWith(std::string(" resp=") + c.code));
        EXPECT_LT(lines[0].size(), 2000u);
      }
    }
  }
  audit.reset();
}

// One target, again and again: what is remembered of it is nobody else's.
TEST_F(FilterChain, WhatIsRememberedOfATargetIsTheSameForAllAndItsUsersAreNot) {
  std::unique_ptr<audit::Log> audit =
      OpenAudit("omitStages: [RequestReceived]\nrules:\n- {level: Metadata}\n");
  const struct {
    const char *token, *impersonated;
    const char *user, *code;
  } kCases[] = {
      {"alice", "", R"("user":{"username":"alice"})", "200"},
      {"bob", "", R"("user":{"username":"bob"})", "403"},
      {"alice:ops", "", R"("user":{"username":"alice","groups":["ops"]})", "200"},
      {"alice", "bob", R"("user":{"username":"alice"},"impersonatedUser":{"username":"bob")",
       "403"},
      {"bob", "alice", R"("user":{"username":"bob"},)", "403"},
      {"alice", "", R"("user":{"username":"alice"},"s)", "200"},
  };
  {
    Chain audited({}, tokens, authorizer, router, clock, obs::NullLogger(), metrics, audit.get());
    const auto peer = std::make_shared<http::Peer>(http::Peer{"192.0.2.1:5312", {}});
    for (int round = 0; round < 2; ++round) {
      for (const auto& c : kCases) {
        http::Request request = Get("/echo", c.token);
        request.peer = peer;
        if (*c.impersonated != '\0') request.headers.Add("impersonate-user", c.impersonated);
        Answer& answer = answers.emplace_back();
        audited.Serve(std::move(request), std::make_unique<Recorded>(answer));
        EXPECT_THAT(answer.Text(), StartsWith(c.code));
      }
    }
  }
  audit.reset();
  std::ifstream file(audit_path);
  for (int round = 0; round < 2; ++round) {
    for (const auto& c : kCases) {
      std::string line;
      std::getline(file, line);
      EXPECT_THAT(line, HasSubstr(c.user));
      EXPECT_THAT(line, HasSubstr(std::string(R"("code":)") + c.code));
    }
  }
}

TEST_F(FilterChain, AnAnswerThatThereIsNoRoomForIsA429AndCountedAsOne) {
  http::Request request = Get("/echo");
  Answer answer;
  auto exchange = std::make_unique<Recorded>(answer);
  exchange->refusals = 1;
  chain.Serve(std::move(request), std::move(exchange));
  EXPECT_THAT(answer.Text(), StartsWith("429 {"));
  EXPECT_THAT(answer.Text(), HasSubstr(R"("reason":"TooManyRequests")"));
  ASSERT_NE(answer.response.headers.Find("retry-after"), nullptr);
  EXPECT_EQ(*answer.response.headers.Find("retry-after"), "1");
  EXPECT_THAT(metrics.Text(), HasSubstr("apiserver_request_total{code=\"429\""));
}

TEST_F(FilterChain, CountsUnderTheNamesOfDashboards) {
  Ask("/echo");
  Ask("/nothing");
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("apiserver_request_total{code=\"200\""));
  EXPECT_THAT(text, HasSubstr("apiserver_request_total{code=\"404\""));
  EXPECT_THAT(text, HasSubstr("apiserver_request_duration_seconds_count"));
}

}  // namespace
}  // namespace strata::serving
