// What refusals say. Which certificates are refused is compared with Go's verdicts (test/x509).
#include "lib/x509/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/x509/key_pair.h"
#include "test/support/certificates.h"

namespace strata::x509 {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing_support::Identity;
using testing_support::Issue;

constexpr int64_t kDay = 86'400;
constexpr int64_t kNow = 1'700'000'000;  // 2023-11-14T22:13:20Z

class Refusals : public testing::Test {
 protected:
  static std::string Why(const Identity& leaf, const Identity& anchor, Usage usage = Usage::kClient,
                         const std::string& host = "") {
    return Why(leaf.Pem(), anchor.Pem(), usage, host);
  }
  static std::string Why(const std::string& presented, const std::string& anchors,
                         Usage usage = Usage::kClient, const std::string& host = "") {
    const auto pool = Pool::Parse(anchors);
    EXPECT_TRUE(pool.ok());
    const auto chain = ParseChain(presented);
    if (!chain.ok()) return std::string(base::Message(chain.status()));
    const base::Status status =
        Verify(*chain, *pool, {usage, host, base::WallTime(std::chrono::seconds(kNow))});
    return status.ok() ? "ok" : std::string(base::Message(status));
  }

  const std::unique_ptr<Identity> ca =
      Issue(nullptr, "etcd-ca", {}, kNow - kDay, kNow + kDay, nullptr);
};

TEST_F(Refusals, NameTheCertificateAndTheTime) {
  EXPECT_EQ(Why(*Issue(ca.get(), "a", {"devs"}, kNow - kDay, kNow, nullptr), *ca), "ok");
  EXPECT_EQ(Why(*Issue(ca.get(), "a", {"devs"}, kNow - kDay, kNow - 1, nullptr), *ca),
            "CN=a,O=devs (serial 07) has expired: it was valid until 2023-11-14T22:13:19Z, now it "
            "is 2023-11-14T22:13:20Z");
  EXPECT_THAT(Why(*Issue(ca.get(), "a", {}, kNow + 1, kNow + kDay, nullptr), *ca),
              HasSubstr("is not yet valid: it will be from 2023-11-14T22:13:21Z on"));
  const auto old = Issue(nullptr, "old-ca", {}, kNow - kDay, kNow - 60, nullptr);
  EXPECT_THAT(Why(*Issue(old.get(), "a", {}, kNow - kDay, kNow + kDay, nullptr), *old),
              StartsWith("CN=old-ca (serial 07) has expired: it was valid until"));
}

TEST_F(Refusals, NameTheAuthorityThatIsMissing) {
  const auto other = Issue(nullptr, "other", {}, kNow - kDay, kNow + kDay, nullptr);
  const auto leaf = Issue(other.get(), "a", {}, kNow - kDay, kNow + kDay, nullptr);
  EXPECT_EQ(
      Why(*leaf, *ca),
      "CN=a (serial 07) is signed by an unknown authority: CN=other is none of the 1 trusted");
  const auto again = Issue(nullptr, "other", {}, kNow - kDay, kNow + kDay, nullptr);
  EXPECT_THAT(Why(*leaf, *again), HasSubstr("its signature isn't its issuer's"));
  const auto below = Issue(leaf.get(), "b", {}, kNow - kDay, kNow + kDay, nullptr);
  EXPECT_THAT(Why(*below, *leaf), HasSubstr("CN=a (serial 07): it is not a CA"));
}

TEST_F(Refusals, NameTheUsageAndTheHost) {
  const auto client = Issue(ca.get(), "a", {}, kNow - kDay, kNow + kDay, "clientAuth");
  EXPECT_EQ(Why(*client, *ca, Usage::kServer),
            "CN=a (serial 07) is not for servers: serverAuth is missing (extendedKeyUsage)");
  EXPECT_THAT(Why(*client, *ca, Usage::kClient, "etcd-0"),
              HasSubstr("needs subject alternative names), not for etcd-0"));
}

TEST_F(Refusals, OfSomebodyWithManyWaysToACaComeAfterFewSignatures) {
  // Each of its CAs is signed by the key that all of them have: seven, in thousands of orders.
  const auto leaf = Issue(ca.get(), "a", {}, kNow - kDay, kNow + kDay, nullptr);
  std::string presented = leaf->Pem();
  for (int i = 0; i < 7; ++i) {
    const auto one = Issue(ca.get(), "etcd-ca", {}, kNow - kDay, kNow + kDay, nullptr);
    X509_set_pubkey(one->certificate, ca->key);
    X509_EXTENSION_free(X509_delete_ext(one->certificate, 0));
    testing_support::AddExtension(one->certificate, ca->certificate, NID_basic_constraints,
                                  "critical,CA:TRUE");
    testing_support::AddExtension(one->certificate, ca->certificate, NID_subject_alt_name,
                                  ("DNS:" + std::to_string(i)).c_str());
    X509_sign(one->certificate, ca->key, EVP_sha256());
    presented += one->Pem();
  }
  const auto why = [&](const char* name) {
    return Why(presented, Issue(nullptr, name, {}, kNow - kDay, kNow + kDay, nullptr)->Pem());
  };
  EXPECT_EQ(why("other"),
            "CN=a (serial 07): gave up after 0 signatures and 100 certificates that might lead to "
            "a trusted CA");
  EXPECT_THAT(why("etcd-ca"), HasSubstr("gave up after 8 signatures and 100 certificates"));
  EXPECT_EQ(Why(presented, ca->Pem()), "ok");
}

TEST_F(Refusals, ComeAfterSixteenKeysOfOneNameAndNotAfterOneKeysCertificates) {
  std::string keys, renewals;
  for (int i = 0; i < 15; ++i)
    keys += Issue(nullptr, "etcd-ca", {}, kNow - kDay, kNow + kDay, nullptr)->Pem();
  const auto old = Issue(nullptr, "etcd-ca", {}, kNow - kDay, kNow + kDay, nullptr);
  for (int i = 0; i < 40; ++i) {
    ASN1_INTEGER_set(X509_get_serialNumber(old->certificate), i + 1);
    X509_sign(old->certificate, old->key, EVP_sha256());
    renewals += old->Pem();
  }
  const std::string leaf = Issue(ca.get(), "a", {}, kNow - kDay, kNow + kDay, nullptr)->Pem();
  EXPECT_EQ(Why(leaf, renewals + ca->Pem()), "ok");
  EXPECT_EQ(Why(leaf, keys + ca->Pem()), "ok");
  EXPECT_THAT(Why(leaf, keys + old->Pem() + ca->Pem()), HasSubstr("gave up after 16 signatures"));
}

TEST_F(Refusals, OfControlCharactersAreOneLine) {
  const auto leaf = Issue(nullptr, "a\nb", {}, kNow - kDay, kNow + kDay, nullptr);
  EXPECT_THAT(Why(*leaf, *ca), StartsWith("CN=a?b (serial 07)"));
}

TEST_F(Refusals, OfAKeyPairNameTheFile) {
  const auto other = Issue(nullptr, "other", {}, kNow - kDay, kNow + kDay, nullptr);
  const auto why = [](const std::string& certificate, const std::string& key) {
    const auto pair = KeyPair::Parse({"tls.crt", certificate}, {"tls.key", key});
    return pair.ok() ? "ok" : std::string(base::Message(pair.status()));
  };
  EXPECT_EQ(why(ca->Pem() + ca->KeyPem(), ca->Pem() + ca->KeyPem()), "ok");
  EXPECT_EQ(why("", ca->KeyPem()), "tls.crt: no PEM certificate in it");
  EXPECT_EQ(why(ca->Pem(), ca->Pem()), "tls.key: no PEM private key in it");
  EXPECT_EQ(why(ca->Pem(), other->KeyPem()),
            "tls.key: it is not the key of the certificate in tls.crt");
  EXPECT_THAT(why(ca->Pem(),
                  "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n"
                  "-----END RSA PRIVATE KEY-----\n"),
              StartsWith("tls.key: the private key has a passphrase"));
  EXPECT_THAT(why(ca->Pem(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              StartsWith("tls.key: the private key in it can't be parsed"));
}

}  // namespace
}  // namespace strata::x509
