#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/transport/net/server_fixture_test.h"

namespace strata::net {
namespace {

using ::testing::HasSubstr;

// Of a key that it takes over.
PemPair PairOf(EVP_PKEY* key, const EVP_MD* hash) {
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, hash);
  const auto text = [](const auto& write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const auto size = static_cast<size_t>(BIO_get_mem_data(bio, &data));
    std::string pem(data, size);
    BIO_free(bio);
    return pem;
  };
  const PemPair pair = {text([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); }),
                        text([&](BIO* bio) {
                          PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
                        })};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

TEST_F(ServerTest, SpeaksOverBothVersionsOfTls) {
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port_, {.version = version});
    EXPECT_EQ(Ask(client, "hello"), "hello\n");
    if (version == TLS1_3_VERSION) {
      EXPECT_STREQ(SSL_get_cipher_name(client.ssl()), "TLS_AES_128_GCM_SHA256");
    }
  }
  TlsClient old(port_, {.version = TLS1_1_VERSION});
  EXPECT_FALSE(old.established());
  WaitForMetric("apiserver_tls_handshake_errors_total", 1);
}

TEST_F(ServerTest, ResumesNoSession) {
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient first(port_, {.version = version});
    EXPECT_EQ(Ask(first, "hello"), "hello\n") << "tickets would have come before";
    SSL_SESSION* const session = SSL_get_session(first.ssl());
    EXPECT_EQ(SSL_SESSION_is_resumable(session), 0) << "nothing to resume it by is given";
    // Offered it is nevertheless, in TLS 1.2 by a number that the client makes up.
    if (version == TLS1_2_VERSION && SSL_SESSION_is_resumable(session) == 0) {
      const std::string id(32, 'i');
      SSL_SESSION_set1_id(session, reinterpret_cast<const unsigned char*>(id.data()),
                          static_cast<unsigned>(id.size()));
    }
    TlsClient second(port_, {.version = version, .resumes = session});
    EXPECT_EQ(Ask(second, "hello"), "hello\n");
    EXPECT_EQ(SSL_session_reused(second.ssl()), 0);
  }
}

TEST_F(ServerTest, ChoosesTheProtocol) {
  Start();
  const auto chosen = [&](const std::string& offered) {
    TlsClient client(port_, {.alpn = offered});
    if (!client.established()) return std::string("refused");
    const std::string answer = Ask(client, "who");
    return answer.substr(answer.find(' ') + 1);
  };
  EXPECT_EQ(chosen(""), " 0\n");
  EXPECT_EQ(chosen("\x02h2"), "h2 0\n");
  EXPECT_EQ(chosen("\x08http/1.1\x02h2"), "h2 0\n");
  EXPECT_EQ(chosen("\x08http/1.1"), "http/1.1 0\n");
  EXPECT_EQ(chosen("\x04spdy"), "refused");
}

TEST_F(ServerTest, HandsUpTheClientsCertificateWithoutVerifyingIt) {
  const PemPair own = NewPair("nobody-knows-me");
  Start();
  TlsClient client(port_, {.certificate = &own});
  EXPECT_THAT(Ask(client, "who"), HasSubstr(" 1\n"));
  absl::MutexLock lock(&mu_);
  ASSERT_EQ(last_chain_.size(), 1u);
  EXPECT_THAT(last_chain_[0], HasSubstr("nobody-knows-me"));
}

TEST_F(ServerTest, ServesAndHandsUpTheKeysThatGoDoes) {
  const PemPair weak = PairOf(EVP_RSA_gen(1024), EVP_sha1());
  WritePair(weak);
  tls_.cert_file = folder_ + "/tls.crt";
  tls_.key_file = folder_ + "/tls.key";
  Start();
  const PemPair pairs[] = {weak, PairOf(EVP_EC_gen("P-521"), EVP_sha512()),
                           PairOf(EVP_EC_gen("P-384"), EVP_sha256()),
                           PairOf(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), nullptr)};
  for (const PemPair& pair : pairs) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      TlsClient client(port_, {.certificate = &pair, .version = version});
      EXPECT_THAT(Ask(client, "who"), HasSubstr(" 1\n")) << version;
    }
  }
}

TEST_F(ServerTest, RefusesKeysThatGoVerifiesNothingWith) {
  // What OpenSSL does with a larger exponent takes it milliseconds.
  const auto with_exponent = [](uint64_t exponent) {
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_new(), BN_free);
    BN_set_word(number.get(), exponent);
    EVP_PKEY_CTX* making = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
    EVP_PKEY* key = nullptr;
    EVP_PKEY_keygen_init(making);
    EVP_PKEY_CTX_set_rsa_keygen_bits(making, 2048);
    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(making, number.get());
    EVP_PKEY_generate(making, &key);
    EVP_PKEY_CTX_free(making);
    return PairOf(key, EVP_sha256());
  };
  const PemPair good = with_exponent((uint64_t{1} << 31) - 1);
  const PemPair bad[] = {with_exponent((uint64_t{1} << 31) + 11),
                         PairOf(EVP_RSA_gen(768), EVP_sha256())};
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto answer = [&](const PemPair& pair) {
      TlsClient client(port_, {.certificate = &pair, .version = version});
      return client.established() ? Ask(client, "who") : "";
    };
    EXPECT_THAT(answer(good), HasSubstr(" 1\n"));
    for (const PemPair& pair : bad) EXPECT_EQ(answer(pair), "");
  }
}

TEST_F(ServerTest, ClosesWhoAnnouncesALongHello) {
  options_.connection.handshake_timeout = seconds(60);
  Start();
  const std::string head("\x16\x03\x03\x00\x04\x01\x01\xff\xb8", 9);
  const auto send_to = [](const TlsClient& client, const std::string& bytes) {
    EXPECT_EQ(send(client.fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  };
  const auto is_closed = [](const TlsClient& client) {
    char answer[1024];
    ssize_t n;
    while ((n = recv(client.fd(), answer, sizeof answer, 0)) > 0) continue;
    return n == 0 || errno == ECONNRESET;
  };
  TlsClient at_once(port_, {.handshake = false});
  send_to(at_once, head);
  EXPECT_TRUE(is_closed(at_once));
  WaitForMetric("apiserver_tls_handshake_errors_total", 1);

  // Of a group that isn't there, so that the server asks for another hello.
  TlsClient again(port_, {.handshake = false});
  SSL_set_bio(again.ssl(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  ASSERT_EQ(SSL_set1_groups_list(again.ssl(), "X448:X25519"), 1);
  EXPECT_FALSE(again.Handshake());
  char* first = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(SSL_get_wbio(again.ssl()), &first));
  send_to(again, std::string(first, size));
  char answer = 0;
  ASSERT_EQ(recv(again.fd(), &answer, 1, 0), 1);
  EXPECT_EQ(answer, 22) << "no alert";
  send_to(again, head);
  EXPECT_TRUE(is_closed(again));
}

TEST_F(ServerTest, CutsTlsThatBringsNextToNothing) {
  options_.connection.max_tls_overhead = 4 << 10;
  Start();
  TlsClient small(port_);
  for (int i = 0; i < 1000 && small.Write("x"); ++i) continue;
  WaitForMetric("strata_connections_rejected_total{reason=\"tls_flood\"}", 1);
}

TEST_F(ServerTest, CutsWhoChangesKeysAllTheTime) {
  Start();
  const auto update = [](TlsClient& client) {
    return SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1 &&
           SSL_do_handshake(client.ssl()) == 1;
  };
  TlsClient client(port_);
  for (int i = 0; i < 32; ++i) ASSERT_TRUE(update(client));
  EXPECT_EQ(Ask(client, "hello"), "hello\n");
  for (int i = 0; i < 100 && update(client); ++i) continue;
  WaitForMetric("strata_connections_rejected_total{reason=\"tls_flood\"}", 1);
}

TEST_F(ServerTest, TellsAClientThatForgetsTls) {
  options_.connection.answer_to_plaintext = "speak TLS";
  Start();
  TlsClient client(port_, {.handshake = false});
  EXPECT_EQ(send(client.fd(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  char buffer[100] = {};
  EXPECT_EQ(recv(client.fd(), buffer, sizeof buffer, MSG_WAITALL), 9);
  EXPECT_STREQ(buffer, "speak TLS");
}

TEST_F(ServerTest, RefusesAChainThatIsTooLong) {
  const PemPair pair = NewPair("client");
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pair.certificate.data(), -1),
                                                      BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> one(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  const std::unique_ptr<X509, decltype(&X509_free)> large(X509_dup(one.get()), X509_free);
  const std::string comment(16 << 10, 'x');
  const std::unique_ptr<ASN1_OCTET_STRING, decltype(&ASN1_OCTET_STRING_free)> text(
      ASN1_OCTET_STRING_new(), ASN1_OCTET_STRING_free);
  ASN1_OCTET_STRING_set(text.get(), reinterpret_cast<const unsigned char*>(comment.data()),
                        static_cast<int>(comment.size()));
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509_EXTENSION_create_by_NID(nullptr, NID_netscape_comment, 0, text.get()),
      X509_EXTENSION_free);
  ASSERT_EQ(X509_add_ext(large.get(), extension.get(), -1), 1);
  ASSERT_GT(i2d_re_X509_tbs(large.get(), nullptr), 16 << 10);
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto answer = [&](int more, X509* of) {
      TlsClient client(port_, {.certificate = &pair, .version = version, .handshake = false});
      for (int i = 0; i < more; ++i) SSL_add1_chain_cert(client.ssl(), of);
      return client.Handshake() ? Ask(client, "who") : "";
    };
    EXPECT_THAT(answer(7, one.get()), HasSubstr(" 8\n"));
    EXPECT_EQ(answer(8, one.get()), "");
    EXPECT_EQ(answer(1, large.get()), "");
  }
}

}  // namespace
}  // namespace strata::net
