#include "server/auth/client_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/certificates.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

using testing_support::Identity;
using testing_support::Issue;

constexpr int64_t kDay = 86'400;

class Certificates : public testing::Test {
 protected:
  Certificates() { EXPECT_TRUE(pool->Set(ca->Pem()).ok()); }

  std::string Who(const Identity* identity) {
    auto peer = std::make_shared<http::Peer>();
    if (identity != nullptr) peer->certificate_chain.push_back(identity->Der());
    http::Request request;
    request.peer = peer;
    std::string who = "nobody";
    testing_support::Authenticate(authenticator, request, [&](const Authentication& r) {
      if (r.result == Authentication::Result::kError) who = "error: " + r.error;
      if (r.result != Authentication::Result::kUser) return;
      who = r.user->name;
      for (const std::string& group : r.user->groups) who += "," + group;
    });
    return who;
  }

  base::FakeClock clock;
  const int64_t now = std::chrono::system_clock::to_time_t(clock.WallNow());
  const std::unique_ptr<Identity> ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  const std::shared_ptr<CaPool> pool = std::make_shared<CaPool>(clock);
  obs::Metrics metrics;
  const ClientCertificate authenticator{pool, clock, metrics};
};

TEST_F(Certificates, TheCommonNameIsTheUserAndOrganizationsAreGroups) {
  EXPECT_EQ(
      Who(Issue(ca.get(), "alice", {"devs", "ops"}, now - kDay, now + kDay, "clientAuth").get()),
      "alice,devs,ops");
  EXPECT_EQ(Who(Issue(ca.get(), "bob", {}, now - kDay, now + kDay, nullptr).get()), "bob");
  EXPECT_EQ(Who(nullptr), "nobody");
  EXPECT_EQ(Who(Issue(ca.get(), "", {"devs"}, now - kDay, now + kDay, "clientAuth").get()),
            "nobody");
}

TEST_F(Certificates, ThatKubeApiserverTakesAreTaken) {
  const auto resigned = [](std::unique_ptr<Identity> identity, const Identity& signer) {
    X509_sign(identity->certificate, signer.key, EVP_sha256());
    return identity;
  };
  auto bob = Issue(ca.get(), "bob", {"devs"}, now - kDay, now + kDay, "serverAuth,clientAuth");
  testing_support::AddExtension(bob->certificate, ca->certificate, NID_key_usage,
                                "keyEncipherment,dataEncipherment");
  EXPECT_EQ(Who(resigned(std::move(bob), *ca).get()), "bob,devs");
  EXPECT_EQ(Who(Issue(ca.get(), "ca", {}, now - kDay, now + kDay, nullptr).get()), "ca")
      << "named like its CA";

  // The issuing CA alone is in the file.
  auto issuing = Issue(ca.get(), "issuing", {}, now - kDay, now + kDay, nullptr);
  X509_EXTENSION_free(X509_delete_ext(issuing->certificate, 0));
  testing_support::AddExtension(issuing->certificate, ca->certificate, NID_basic_constraints,
                                "critical,CA:TRUE");
  issuing = resigned(std::move(issuing), *ca);
  const auto alice = Issue(issuing.get(), "alice", {}, now - kDay, now + kDay, "clientAuth");
  EXPECT_THAT(Who(alice.get()), testing::HasSubstr("CN=issuing is none of the 1 trusted"));
  ASSERT_TRUE(pool->Set(issuing->Pem()).ok());
  EXPECT_EQ(Who(alice.get()), "alice");
  // Or the certificate itself.
  ASSERT_TRUE(pool->Set(alice->Pem()).ok());
  EXPECT_EQ(Who(alice.get()), "alice");
}

TEST_F(Certificates, OfACaFileThatKubeApiserverRefusesAreNone) {
  const std::string broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
  EXPECT_THAT(std::string(base::Message(pool->Set(ca->Pem() + broken))),
              testing::HasSubstr("certificate 2 in it can't be parsed"));
}

TEST_F(Certificates, WhatDoesNotVerifyIsAnError) {
  const auto other = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  const struct {
    std::unique_ptr<Identity> identity;
    std::string error;
  } kCases[] = {
      {Issue(other.get(), "eve", {}, now - kDay, now + kDay, "clientAuth"), "error: verifying"},
      {Issue(nullptr, "eve", {}, now - kDay, now + kDay, "clientAuth"), "error: verifying"},
      {Issue(ca.get(), "eve", {}, now - kDay, now - 1, "clientAuth"),
       "CN=eve (serial 07) has expired: it was valid until 2023-11-14T22:13:19Z"},
      {Issue(ca.get(), "eve", {}, now + 60, now + kDay, "clientAuth"), "not yet valid"},
      {Issue(ca.get(), "eve", {}, now - kDay, now + kDay, "serverAuth"), "clientAuth is missing"},
  };
  for (const auto& c : kCases) EXPECT_THAT(Who(c.identity.get()), testing::HasSubstr(c.error));
}

TEST_F(Certificates, ExpiryAndANewCaAreSeen) {
  const auto alice = Issue(ca.get(), "alice", {}, now - kDay, now + 5, "clientAuth");
  EXPECT_EQ(Who(alice.get()), "alice");
  clock.Advance(std::chrono::seconds(11));
  EXPECT_THAT(Who(alice.get()), testing::HasSubstr("expired"));

  const auto bob = Issue(ca.get(), "bob", {}, now - kDay, now + kDay, "clientAuth");
  EXPECT_EQ(Who(bob.get()), "bob");
  EXPECT_FALSE(pool->Set("-----BEGIN NOTHING-----\n").ok());
  EXPECT_EQ(Who(bob.get()), "bob") << "what holds no certificate changes nothing";
  const auto other = Issue(nullptr, "other", {}, now - kDay, now + kDay, nullptr);
  ASSERT_TRUE(pool->Set(other->Pem()).ok());
  EXPECT_THAT(Who(bob.get()), testing::HasSubstr("error: verifying"));
}

TEST_F(Certificates, HowLongTheyAreGoodForIsSeenInMetrics) {
  Who(Issue(ca.get(), "alice", {}, now - kDay, now + kDay + 60, "clientAuth").get());
  Who(Issue(ca.get(), "alice", {}, now - 2 * kDay, now - kDay, "clientAuth").get());
  const std::string text = metrics.Text();
  const std::string name = "apiserver_client_certificate_expiration_seconds_";
  EXPECT_THAT(text, testing::HasSubstr(name + "bucket{le=\"0\"} 1\n"));
  EXPECT_THAT(text, testing::HasSubstr(name + "bucket{le=\"86400\"} 1\n"));
  EXPECT_THAT(text, testing::HasSubstr(name + "bucket{le=\"172800\"} 2\n"));
}

TEST_F(Certificates, AreCountedOnceAlsoWhereSomebodyElseHasToBeAsked) {
  class Asks final : public Authenticator {
   public:
    std::optional<Authentication> Authenticate(const http::Request&, Later later) const override {
      later()({});
      return std::nullopt;
    }
  };
  std::vector<std::unique_ptr<Authenticator>> list;
  list.push_back(std::make_unique<ClientCertificate>(pool, clock, metrics));
  list.push_back(std::make_unique<Asks>());
  const AuthenticatorChain chain(std::move(list), false);
  auto peer = std::make_shared<http::Peer>();
  peer->certificate_chain.push_back(
      Issue(ca.get(), "", {}, now - kDay, now + kDay, "clientAuth")->Der());
  http::Request request;
  request.peer = peer;
  testing_support::Authenticate(chain, request, [](const Authentication&) {});
  EXPECT_THAT(metrics.Text(),
              testing::HasSubstr("apiserver_client_certificate_expiration_seconds_count 1\n"));
}

}  // namespace
}  // namespace strata::auth
