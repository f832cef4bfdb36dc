#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/serving/chain_fixture_test.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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
