#include "server/auth/jwt.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/auth/service_account_token.h"

#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

using testing::HasSubstr;

constexpr const char* kIssuer = "https://kubernetes.default.svc";

std::string Base64Url(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  text.erase(std::min(text.find('='), text.size()));
  return text;
}

struct Signer {
  EVP_PKEY* key;
  std::string algorithm;
  ~Signer() { EVP_PKEY_free(key); }

  std::string PublicPem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<size_t>(size));
    BIO_free(bio);
    return pem;
  }

  std::string Sign(const std::string& message) const {
    const std::string digest = "SHA" + algorithm.substr(2);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestSignInit_ex(context, nullptr, digest.c_str(), nullptr, nullptr, key, nullptr);
    size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
    EVP_DigestSign(context, nullptr, &size, bytes, message.size());
    std::string signature(size, '\0');
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                   message.size());
    signature.resize(size);
    EVP_MD_CTX_free(context);
    if (algorithm[0] == 'R') return signature;
    const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
    ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(size));
    const int half = algorithm == "ES256" ? 32 : 48;
    std::string raw(static_cast<size_t>(2 * half), '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(parts), out, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(parts), out + half, half);
    ECDSA_SIG_free(parts);
    return raw;
  }

  std::string Token(const std::string& claims, const std::string& header = "") const {
    const std::string signed_part =
        Base64Url(header.empty() ? R"({"alg":")" + algorithm + "\"}" : header) + "." +
        Base64Url(claims);
    return signed_part + "." + Base64Url(Sign(signed_part));
  }
};

class ServiceAccountTokens : public testing::Test {
 protected:
  ServiceAccountTokens() {
    Write(rsa.PublicPem() + ec.PublicPem());
    authenticator = Open({});
  }
  ~ServiceAccountTokens() override { std::filesystem::remove(path); }

  void Write(const std::string& text) {
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
  }
  std::unique_ptr<ServiceAccountToken> Open(const std::vector<std::string>& audiences) {
    return *ServiceAccountToken::Open(
        {.key_files = {path}, .issuers = {kIssuer}, .audiences = audiences}, watcher, clock,
        metrics);
  }

  std::string Claims(const std::string& more = "", int64_t lifetime = 3600,
                     const std::string& audience = kIssuer) const {
    return fmt::format(
        R"({{"iss":"{}","aud":["{}"],"exp":{},"nbf":{},"sub":"system:serviceaccount:ns:sa",)"
        R"("jti":"id","kubernetes.io":{{"namespace":"ns","serviceaccount":{{"name":"sa","uid":"u"}},)"
        R"("pod":{{"name":"p","uid":"pu"}}}}{}}})",
        kIssuer, audience, now + lifetime, now - 10, more);
  }
  std::string Who(const Authenticator& asked, const std::string& token) {
    http::Request request;
    request.headers.Add("authorization", "Bearer " + token);
    std::string who = "nobody";
    testing_support::Authenticate(asked, request, [&](const Authentication& r) {
      if (r.result == Authentication::Result::kError) who = "error: " + r.error;
      if (r.result != Authentication::Result::kUser) return;
      who = r.user->name;
      user = *r.user;
    });
    return who;
  }
  std::string Who(const std::string& token) { return Who(*authenticator, token); }

  base::FakeClock clock;
  const int64_t now = std::chrono::system_clock::to_time_t(clock.WallNow());
  const std::string path =
      (std::filesystem::temp_directory_path() / ("strata-sa-" + std::to_string(getpid()))).string();
  obs::Metrics metrics;
  files::FileWatcher watcher{
      {.poll_interval = std::chrono::milliseconds(0)}, obs::NullLogger(), metrics};
  const Signer rsa{EVP_RSA_gen(2048), "RS256"};
  const Signer ec{EVP_EC_gen("P-256"), "ES256"};
  const Signer other{EVP_EC_gen("P-256"), "ES256"};
  std::unique_ptr<ServiceAccountToken> authenticator;
  UserInfo user;
};

TEST_F(ServiceAccountTokens, AreTheAccountThatTheyName) {
  EXPECT_EQ(Who(rsa.Token(Claims())), "system:serviceaccount:ns:sa");
  EXPECT_EQ(user.uid, "u");
  EXPECT_THAT(user.groups,
              testing::ElementsAre("system:serviceaccounts", "system:serviceaccounts:ns"));
  EXPECT_THAT(
      user.extra,
      testing::ElementsAre(
          testing::Pair("authentication.kubernetes.io/credential-id",
                        testing::ElementsAre("JTI=id")),
          testing::Pair("authentication.kubernetes.io/pod-name", testing::ElementsAre("p")),
          testing::Pair("authentication.kubernetes.io/pod-uid", testing::ElementsAre("pu"))));
  EXPECT_EQ(Who(ec.Token(Claims())), "system:serviceaccount:ns:sa");
  EXPECT_EQ(Who("opaque"), "error: invalid bearer token");
  EXPECT_EQ(Who(ec.Token(R"({"iss":"https://elsewhere","exp":1})")), "error: invalid bearer token")
      << "another issuer's tokens are somebody else's to judge";
}

TEST_F(ServiceAccountTokens, EndAndBeginWhenTheySay) {
  const std::string token = ec.Token(Claims("", 5));
  EXPECT_EQ(Who(token), "system:serviceaccount:ns:sa");
  clock.Advance(std::chrono::seconds(5));
  EXPECT_EQ(Who(token), "error: service account token has expired");
  EXPECT_EQ(Who(ec.Token(
                fmt::format(R"({{"iss":"{}","exp":{},"nbf":{}}})", kIssuer, now + 99, now + 60))),
            "error: service account token is not valid yet");
  EXPECT_EQ(Who(ec.Token(fmt::format(R"({{"iss":"{}"}})", kIssuer))),
            "error: the service account token has no expiry");
}

TEST_F(ServiceAccountTokens, MustBeForAnAudienceOfOurs) {
  EXPECT_EQ(Who(ec.Token(Claims("", 99, "vault"))),
            "error: the service account token is for other audiences");
  const auto strict = Open({"registry", "strata"});
  EXPECT_EQ(Who(*strict, ec.Token(Claims("", 99, "strata"))), "system:serviceaccount:ns:sa");
  EXPECT_EQ(Who(*strict, ec.Token(Claims())),
            "error: the service account token is for other audiences");
}

TEST_F(ServiceAccountTokens, ForgeriesAreRefused) {
  const std::string good = ec.Token(Claims());
  const size_t last = good.rfind('.');
  const std::string signed_part = good.substr(0, last);
  const std::string invalid = "error: the service account token's signature is not valid";
  EXPECT_EQ(Who(other.Token(Claims())), invalid);
  EXPECT_EQ(Who(signed_part + "."), invalid);
  std::string flipped = good;
  flipped[last + 10] = flipped[last + 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(Who(flipped), invalid);
  EXPECT_EQ(Who(Base64Url(R"({"alg":"ES256"})") + "." + Base64Url(Claims(R"(,"x":1)")) +
                good.substr(last)),
            invalid)
      << "other claims under a good signature";
  EXPECT_EQ(Who(good.substr(0, last) + "." + Base64Url(std::string(64, '\0'))), invalid);

  // What isn't a token in our eyes is left to others, who don't know it either.
  const auto unsigned_token = [&](const std::string& header) {
    return Base64Url(header) + "." + Base64Url(Claims()) + ".";
  };
  for (const char* none : {"none", "None", "NONE", ""})
    EXPECT_EQ(Who(unsigned_token(fmt::format(R"({{"alg":"{}"}})", none))),
              "error: invalid bearer token")
        << none;

  // Key confusion: the public key as an HMAC secret, and an algorithm of another kind of key.
  const std::string head = Base64Url(R"({"alg":"HS256"})") + "." + Base64Url(Claims());
  const std::string secret = ec.PublicPem();
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(head.data()), head.size(), mac, &size);
  EXPECT_EQ(Who(head + "." + Base64Url({reinterpret_cast<char*>(mac), size})),
            "error: invalid bearer token");
  EXPECT_EQ(Who(ec.Token(Claims(), R"({"alg":"RS256"})")), invalid);
  EXPECT_EQ(Who(ec.Token(Claims(), R"({"alg":"ES384"})")), invalid);
  EXPECT_EQ(Who(rsa.Token(Claims(), R"({"alg":"ES256"})")), invalid);
}

TEST_F(ServiceAccountTokens, NewKeysCountFromTheNextTokenOn) {
  EXPECT_EQ(Who(other.Token(Claims())),
            "error: the service account token's signature is not valid");
  Write(other.PublicPem());
  watcher.Poll();
  EXPECT_EQ(Who(other.Token(Claims())), "system:serviceaccount:ns:sa");
  EXPECT_THAT(Who(rsa.Token(Claims())), HasSubstr("signature"));
  Write("no key");
  watcher.Poll();
  EXPECT_EQ(Who(other.Token(Claims(R"(,"x":1)"))), "system:serviceaccount:ns:sa");
}

TEST(ParseJwt, TakesOneFormAlone) {
  const std::string header = Base64Url(R"({"alg":"RS256","kid":"k"})"), claims = Base64Url("{}");
  const auto jwt = ParseJwt(header + "." + claims + ".AA");
  ASSERT_TRUE(jwt.ok());
  EXPECT_EQ(jwt->key_id, "k");
  EXPECT_EQ(jwt->signature, std::string(1, '\0'));
  const std::string cases[] = {
      "",
      "..",
      "a.b",
      header + "." + claims,
      header + "." + claims + ".AA.AA",
      header + "." + claims + ".AA==",
      header + "." + claims + ".AB",  // bits that say nothing
      header + "." + claims + ".A",
      header + "." + claims + ".A A",
      header + "." + claims + ".+/8",
      Base64Url(R"({"alg":"RS256","alg":"none"})") + "." + claims + ".AA",
      Base64Url(R"({"alg":"RS256","crit":["exp"]})") + "." + claims + ".AA",
      Base64Url(R"({"alg":["RS256"]})") + "." + claims + ".AA",
      header + "." + Base64Url(R"({"iss":"a","iss":"b"})") + ".AA",
      header + "." + Base64Url("[]") + ".AA",
      header + "." + Base64Url("{} {}") + ".AA",
      header + "." + claims + "." + std::string(70'000, 'A'),
  };
  for (const std::string& text : cases) EXPECT_FALSE(ParseJwt(text).ok()) << text.substr(0, 100);
}

// RFC 7515 appendix A.3: its key and its token.
TEST(Jwks, KeysVerifyTheRfcsOwnToken) {
  const auto keys =
      ReadJwks(R"({"keys":[{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-521","x":"AA","y":"AA"},)"
               R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
               R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"a3"}]})");
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 1u);
  const auto jwt = ParseJwt(
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm"
      "NvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
      "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQ"
      "xfKTUJqPP3-Kg6NU1Q");
  ASSERT_TRUE(jwt.ok()) << jwt.status();
  EXPECT_TRUE(HasValidSignature(*jwt, *keys));
  // Padding and line ends, which go-jose passes over.
  const auto padded = ReadJwks(
      R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=",)"
      R"("y":"x_FEzRu9m36HLN_tue659\nLNpXW6pCyStikYjKIWI5a0=\n"}]})");
  ASSERT_TRUE(padded.ok()) << padded.status();
  EXPECT_TRUE(HasValidSignature(*jwt, *padded));
  for (
      const char* bad :
      {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[]})",
       R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]})",
       // Not on the curve.
       R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}]})"})
    EXPECT_FALSE(ReadJwks(bad).ok()) << bad;
}

}  // namespace
}  // namespace strata::auth
