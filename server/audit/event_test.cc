#include "server/audit/event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/codec/json_text.h"

namespace strata::audit {
namespace {

std::string LineOf(const Event& event) {
  std::string line;
  AppendLine(event, line);
  return line;
}

TEST(AuditEvent, IsALineOfTheReferencesJson) {
  http::Request request;
  request.target = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers?a=\"\n";
  request.headers.Add("user-agent", "oc/4");
  request.headers.Add("x-forwarded-for", "203.0.113.7, nonsense, 10.0.0.1");
  request.headers.Add("x-real-ip", "203.0.113.7");
  request.peer = std::make_shared<http::Peer>(http::Peer{"[2001:db8::1]:5312", {}});
  const auto info = api::ParseRequestInfo(
      "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers");
  const auth::UserInfo alice{"alice", "1", {"devs"}, {{"scope", {"a", "b"}}}},
      bob{"bob", "", {}, {}};
  const api::Error failure = api::Forbidden("bob", *info, "no");
  Event event;
  event.stage = Stage::kResponseComplete;
  event.audit_id = "id";
  const std::string description = Describe(request, *info, &alice, &bob);
  event.description = description;
  event.code = 403;
  event.failure = &failure;
  event.received = base::WallTime(std::chrono::microseconds(1'700'000'000'000'001));
  event.now = base::WallTime(std::chrono::microseconds(1'700'000'000'123'456));
  event.decision = "forbid";
  event.reason = "no";
  EXPECT_EQ(
      LineOf(event),
      R"({"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id",)"
      R"("stage":"ResponseComplete",)"
      R"("requestURI":"/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers?a=\"\n",)"
      R"("verb":"get","user":{"username":"alice","uid":"1","groups":["devs"],)"
      R"("extra":{"scope":["a","b"]}},"impersonatedUser":{"username":"bob"},)"
      R"("sourceIPs":["203.0.113.7","10.0.0.1","2001:db8::1"],"userAgent":"oc/4",)"
      R"("objectRef":{"resource":"imagestreams","namespace":"ns","name":"app",)"
      R"("apiGroup":"image.openshift.io","apiVersion":"v1","subresource":"layers"},)"
      R"("responseStatus":{"metadata":{},"status":"Failure","message":)"
      R"("imagestreams.image.openshift.io \"app\" is forbidden: User \"bob\" cannot get resource )"
      R"(\"imagestreams/layers\" in API group \"image.openshift.io\" in the namespace \"ns\": no",)"
      R"("reason":"Forbidden","details":{"name":"app","group":"image.openshift.io",)"
      R"("kind":"imagestreams"},"code":403},)"
      R"("requestReceivedTimestamp":"2023-11-14T22:13:20.000001Z",)"
      R"("stageTimestamp":"2023-11-14T22:13:20.123456Z",)"
      R"("annotations":{"authorization.k8s.io/decision":"forbid",)"
      R"("authorization.k8s.io/reason":"no"}})"
      "\n");
}

TEST(AuditEvent, ARequestThatIsBeingServedHasNoStatusYet) {
  http::Request request;
  request.target = "/metrics";
  const auto info = api::ParseRequestInfo("GET", "/metrics");
  const auth::UserInfo user{"u", "", {}, {}};
  Event event;
  event.audit_id = "id";
  const std::string description = Describe(request, *info, &user, nullptr);
  event.description = description;
  EXPECT_EQ(LineOf(event),
            R"({"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id",)"
            R"("stage":"RequestReceived","requestURI":"/metrics","verb":"get",)"
            R"("user":{"username":"u"},"requestReceivedTimestamp":"1970-01-01T00:00:00.000000Z",)"
            R"("stageTimestamp":"1970-01-01T00:00:00.000000Z"})"
            "\n");
}

// A line of which everything that somebody else chooses is `text`, or many of it.
std::string LineOfMuch(const std::string& text) {
  http::Request request;
  request.target = "/" + text;
  request.headers.Add("user-agent", text);
  std::string forwarded;
  for (int i = 0; i < 5000; ++i) forwarded += "2001:db8::" + std::to_string(i) + ",";
  request.headers.Add("x-forwarded-for", forwarded);
  api::RequestInfo info;
  info.is_resource = true;
  info.verb = info.resource = info.ns = info.name = info.api_group = info.api_version =
      info.subresource = text;
  auth::UserInfo user{text, text, {"first"}, {{"a", std::vector<std::string>(10, text)}}};
  for (int i = 0; i < 5000; ++i) user.groups.push_back("group-" + std::to_string(i));
  for (int i = 0; i < 200; ++i) user.extra[text.substr(0, 100) + std::to_string(i)] = {text};
  const std::string description = Describe(request, info, &user, &user);
  api::Error error;
  error.reason = error.message = text;
  error.details.emplace();
  error.details->name = error.details->group = error.details->kind = text;
  Event event;
  event.audit_id = event.reason = text;
  event.decision = "forbid";
  event.description = description;
  event.failure = &error;
  event.code = 404;
  return LineOf(event);
}

TEST(AuditEvent, WhatOthersChoseIsCutWithAMark) {
  for (const std::string piece : {"x", "<", "\"", "\xC3\xA9", "\xFF", "\n", "\xF0\x9F\x98\x80",
                                  "aaaa\xF0\x9F\x98\x80", "a\xE2\x80\xA8", "x\\"}) {
    std::string text;
    while (text.size() < 20'000) text += piece;
    const std::string line = LineOfMuch(text);
    EXPECT_LT(line.size(), 170'000u) << piece;
    std::string compact;
    EXPECT_TRUE(codec::AppendCompact(line, compact)) << piece;
    EXPECT_EQ(compact + "\n", line) << "no character is cut in two";
    EXPECT_EQ(line.find("\\ufffd") == std::string::npos, piece != "\xFF") << piece;
    EXPECT_THAT(line, testing::ContainsRegex(R"("requestURI":"/[^,]+\.\.\.TRUNCATED","verb")"));
    EXPECT_THAT(line, testing::HasSubstr(R"("groups":["first","group-0","group-1")"));
    EXPECT_THAT(line, testing::HasSubstr(R"(,"...TRUNCATED"],"extra")"));
    EXPECT_THAT(line, testing::HasSubstr(R"("...TRUNCATED":[]})"));
  }
}

TEST(AuditEvent, WhatFitsStandsWhole) {
  const auto uri_of = [](const std::string& target) {
    http::Request request;
    request.target = target;
    const std::string text = Describe(request, {}, nullptr, nullptr);
    const std::string before = R"("requestURI":")";
    return text.substr(before.size(), text.rfind(R"(","user")") - before.size());
  };
  const std::string most(4096, 'x');
  EXPECT_EQ(uri_of(most), most);
  EXPECT_EQ(uri_of(most + "y"), most + "...TRUNCATED");
  // Six bytes in JSON each: what is longer by them loses no more than it must.
  const std::string query = "/?" + std::string(3000, 'x') + std::string(200, '&');
  std::string expected = query.substr(0, 3002);
  for (int i = 0; i < (4096 - 3002) / 6; ++i) expected += "\\u0026";
  EXPECT_EQ(uri_of(query), expected + "...TRUNCATED");
}

// Each of what a description is made of, changed for itself and back again.
TEST(AuditEvent, ARememberedDescriptionIsTheRequestsOwn) {
  using Headers = std::vector<http::Header>;
  struct Case {
    std::string target = "/apis/g/v1/namespaces/ns/imagestreams/app/layers";
    auth::UserInfo user = {"alice", "1", {"devs"}, {}};
    Headers headers = {{"user-agent", "oc/4"}};
    std::string peer = "192.0.2.1:5312";
    std::string method = "GET";
  };
  std::vector<Case> cases(10);
  cases[1].target += "?resourceVersion=0";
  cases[2].user.name = "bob";
  cases[3].user.groups = {"ops"};
  cases[4].user.extra["scope"] = {"a"};
  cases[5].headers = {{"user-agent", "oc/5"}};
  cases[6].headers = {{"user-agent", "oc/4"}, {"x-forwarded-for", "203.0.113.7"}};
  cases[7].headers = {{"user-agent", "oc/4"}, {"x-real-ip", "203.0.113.7"}};
  cases[8].peer = "192.0.2.2:5312";
  cases[9].method = "POST";
  for (int round = 0; round < 2; ++round) {
    for (const Case& c : cases) {
      for (const Case& one : {c, cases[0]}) {
        http::Request request;
        request.target = one.target;
        for (const http::Header& header : one.headers)
          request.headers.Add(header.name, header.value);
        request.peer = std::make_shared<http::Peer>(http::Peer{one.peer, {}});
        const auto info = api::RecallRequestInfo(one.method, one.target);
        const auto user = std::make_shared<auth::UserInfo>(one.user);
        const auto first = RecallDescription(request, info, user);
        EXPECT_EQ(*first, Describe(request, *info, user.get(), nullptr));
        EXPECT_EQ(RecallDescription(request, info, user), first) << "it is remembered";
      }
    }
  }
}

TEST(AuditEvent, NoLongTargetIsRememberedHoweverShortItsDescription) {
  const auto user = std::make_shared<auth::UserInfo>(auth::UserInfo{"alice", "1", {}, {}});
  http::Request request;
  request.target = "/apis?access_token=" + std::string(3000, 'x');
  const auto info = api::RecallRequestInfo("GET", request.target);
  const auto first = RecallDescription(request, info, user);
  EXPECT_LT(first->size(), 500u);
  EXPECT_NE(RecallDescription(request, info, user), first);
}

}  // namespace
}  // namespace strata::audit
