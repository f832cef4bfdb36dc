#include "server/auth/request_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/certificates.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing_support::Identity;
using testing_support::Issue;

constexpr int64_t kDay = 86'400;
using Given = std::vector<http::Header>;

class RequestHeaders : public testing::Test {
 protected:
  RequestHeaders() { EXPECT_TRUE(pool->Set(ca->Pem()).ok()); }

  std::unique_ptr<Identity> Proxy(const std::string& name, const Identity* issuer = nullptr) {
    return Issue(issuer == nullptr ? ca.get() : issuer, name, {}, now - kDay, now + kDay,
                 "clientAuth");
  }
  Authentication Ask(const Identity* identity, const Given& headers) {
    auto peer = std::make_shared<http::Peer>();
    if (identity != nullptr) peer->certificate_chain.push_back(identity->Der());
    http::Request request;
    request.peer = peer;
    for (const auto& header : headers) request.headers.Add(header.name, header.value);
    Authentication result;
    testing_support::Authenticate(authenticator, request,
                                  [&](Authentication r) { result = std::move(r); });
    return result;
  }
  // The user's name, or what else the answer is.
  std::string Who(const Identity* identity, const Given& headers) {
    const Authentication r = Ask(identity, headers);
    return r.result == Authentication::Result::kUser    ? r.user->name
           : r.result == Authentication::Result::kError ? "error: " + r.error
                                                        : "nobody";
  }

  base::FakeClock clock;
  const int64_t now = std::chrono::system_clock::to_time_t(clock.WallNow());
  const std::unique_ptr<Identity> ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  const std::shared_ptr<CaPool> pool = std::make_shared<CaPool>(clock);
  RequestHeader authenticator{
      pool, {.uid_headers = {"X-Remote-Uid"}, .allowed_names = {"front-proxy", "other-proxy"}}};
};

TEST_F(RequestHeaders, AProxyTellsTheUser) {
  const auto proxy = Proxy("front-proxy");
  const Authentication result = Ask(proxy.get(), {{"x-remote-user", "alice"},
                                                  {"x-remote-user", "mallory"},
                                                  {"x-remote-uid", "42"},
                                                  {"x-remote-group", "devs"},
                                                  {"x-remote-group", ""},
                                                  {"x-remote-group", "a,b"},
                                                  {"x-remote-extra-scopes.io%2fx", "1"},
                                                  {"x-remote-extra-scopes.io%2fx", "2"},
                                                  {"x-remote-extra-bad%zz", "3"}});
  ASSERT_EQ(result.result, Authentication::Result::kUser);
  EXPECT_EQ(result.user->name, "alice");
  EXPECT_EQ(result.user->uid, "42");
  EXPECT_THAT(result.user->groups, ElementsAre("devs", "a,b"));
  EXPECT_THAT(result.user->extra, ElementsAre(Pair("bad%zz", ElementsAre("3")),
                                              Pair("scopes.io/x", ElementsAre("1", "2"))));
}

TEST_F(RequestHeaders, NobodyElseIsBelieved) {
  const Given alice = {{"x-remote-user", "alice"}, {"x-remote-group", "system:masters"}};
  const auto other_ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  EXPECT_EQ(Who(nullptr, alice), "nobody");
  EXPECT_THAT(Who(Proxy("front-proxy", other_ca.get()).get(), alice),
              HasSubstr("error: verifying"));
  EXPECT_EQ(Who(Proxy("alice").get(), alice),
            "error: x509: subject with cn=alice is not in the allowed list");
  EXPECT_EQ(Who(Proxy("").get(), alice),
            "error: x509: subject with cn= is not in the allowed list");
  EXPECT_THAT(
      Who(Issue(ca.get(), "front-proxy", {}, now - kDay, now - 1, "clientAuth").get(), alice),
      HasSubstr("expired"));
  EXPECT_THAT(
      Who(Issue(ca.get(), "front-proxy", {}, now - kDay, now + kDay, "serverAuth").get(), alice),
      HasSubstr("clientAuth is missing"));
  EXPECT_EQ(Who(Proxy("front-proxy").get(), {{"x-remote-group", "system:masters"}}), "nobody");
  EXPECT_EQ(Who(Proxy("front-proxy").get(), {{"x-remote-user", ""}}), "nobody");
}

TEST_F(RequestHeaders, AProxyIsWhoseCertificateVerifiesAndHasAnAllowedName) {
  const auto other_ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  EXPECT_TRUE(authenticator.IsProxy({Proxy("front-proxy")->Der()}));
  EXPECT_FALSE(authenticator.IsProxy({Proxy("alice")->Der()}));
  EXPECT_FALSE(authenticator.IsProxy({Proxy("front-proxy", other_ca.get())->Der()}));
  EXPECT_FALSE(
      RequestHeader(std::make_shared<CaPool>(clock), {}).IsProxy({Proxy("front-proxy")->Der()}));
}

TEST_F(RequestHeaders, NamesAndHeadersCanChange) {
  const auto proxy = Proxy("new-proxy");
  EXPECT_THAT(Who(proxy.get(), {{"x-remote-user", "alice"}}), HasSubstr("not in the allowed list"));
  authenticator.Set({.username_headers = {"X-Who", "X-Remote-User"}, .allowed_names = {}});
  EXPECT_EQ(Who(proxy.get(), {{"x-remote-user", "alice"}}), "alice");
  EXPECT_EQ(Who(proxy.get(), {{"x-remote-user", "alice"}, {"x-who", "bob"}}), "bob");
  authenticator.Set({.username_headers = {}});
  EXPECT_EQ(Who(proxy.get(), {{"x-remote-user", "alice"}}), "nobody");
}

TEST_F(RequestHeaders, WithoutACaThereIsNoOpinion) {
  const RequestHeader empty(std::make_shared<CaPool>(clock), {});
  const auto proxy = Proxy("front-proxy");
  http::Request request;
  auto peer = std::make_shared<http::Peer>();
  peer->certificate_chain.push_back(proxy->Der());
  request.peer = peer;
  request.headers.Add("x-remote-user", "alice");
  Authentication::Result result = Authentication::Result::kError;
  testing_support::Authenticate(empty, request,
                                [&](const Authentication& r) { result = r.result; });
  EXPECT_EQ(result, Authentication::Result::kNoOpinion);
}

}  // namespace
}  // namespace strata::auth
