#include "server/serving/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/serving/chain_fixture_test.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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

TEST_F(FilterChain, WhoMayHaveNoMoreConnectionsIsRefusedAndLosesThisOne) {
  router.AddPath("/livez", [](const std::shared_ptr<endpoints::Call>& call) { call->Respond({}); });
  const auto ask = [&](const std::string& path) {
    Answer answer;
    auto exchange = std::make_unique<Recorded>(answer);
    exchange->has_place = false;
    chain.Serve(Get(path), std::move(exchange));
    return answer;
  };
  const Answer refused = ask("/echo");
  EXPECT_THAT(refused.Text(), StartsWith("429 "));
  EXPECT_TRUE(refused.response.close_connection);
  EXPECT_EQ(ask("/livez").response.status, 200);
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

}  // namespace
}  // namespace strata::serving
