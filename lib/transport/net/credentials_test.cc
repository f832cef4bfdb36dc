#include "lib/transport/net/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/transport/net/server_fixture_test.h"

namespace strata::net {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, NamesTheCasItWouldLikeAndReloadsThem) {
  const auto named = [&] {
    TlsClient client(port_, {.version = TLS1_2_VERSION});
    const STACK_OF(X509_NAME)* names = SSL_get_client_CA_list(client.ssl());
    std::string text;
    for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
      char* line = X509_NAME_oneline(sk_X509_NAME_value(names, i), nullptr, 0);
      text += line;
      OPENSSL_free(line);
    }
    return text;
  };
  tls_.client_cas = {{"--client-ca-file", folder_ + "/ca.crt"}};
  std::ofstream(folder_ + "/ca.crt") << NewPair("first-ca").certificate;
  Start();
  EXPECT_THAT(named(), HasSubstr("first-ca"));
  std::ofstream(folder_ + "/ca.crt") << NewPair("second-ca").certificate;
  watcher_.Poll();
  EXPECT_THAT(named(), HasSubstr("second-ca"));
  std::ofstream(folder_ + "/ca.crt") << "nothing";
  watcher_.Poll();
  EXPECT_THAT(named(), HasSubstr("second-ca"));
}

TEST_F(ServerTest, ReloadsItsCertificateWithoutDroppingAConnection) {
  const PemPair first = NewPair("first"), second = NewPair("second");
  WritePair(first);
  tls_.cert_file = folder_ + "/tls.crt";
  tls_.key_file = folder_ + "/tls.key";
  Start();
  TlsClient before(port_);
  EXPECT_THAT(before.ServerCertificate(), HasSubstr("first"));

  // The certificate alone doesn't fit the key: nothing changes.
  std::ofstream(tls_.cert_file) << second.certificate;
  watcher_.Poll();
  EXPECT_THAT(TlsClient(port_).ServerCertificate(), HasSubstr("first"));
  std::ofstream(tls_.key_file) << second.key;
  watcher_.Poll();
  EXPECT_THAT(TlsClient(port_).ServerCertificate(), HasSubstr("second"));
  std::ofstream(tls_.key_file) << "nothing";
  watcher_.Poll();
  EXPECT_THAT(TlsClient(port_).ServerCertificate(), HasSubstr("second"));
  EXPECT_EQ(Ask(before, "still here"), "still here\n");
  EXPECT_EQ(Metric("strata_file_reloads_total{files=\"serving-certificate\",result=\"success\"}"),
            1);
  EXPECT_EQ(Metric("strata_file_reloads_total{files=\"serving-certificate\",result=\"error\"}"), 2);
}

TEST_F(ServerTest, ShowsTheCertificateOfTheNameThatTheClientAsksFor) {
  const auto add = [&](const std::string& file, const std::string& subject,
                       std::vector<std::string> names) {
    const PemPair pair = NewPair(subject);
    std::ofstream(folder_ + file + ".crt") << pair.certificate;
    std::ofstream(folder_ + file + ".key") << pair.key;
    tls_.named_pairs.push_back(
        {folder_ + file + ".crt", folder_ + file + ".key", std::move(names)});
  };
  add("/a", "own.example", {});
  add("/b", "wildcard", {"*.apps.example", "Other.Example"});
  add("/c", "later", {"own.example", "other.example"});
  WritePair(NewPair("the-default"));
  tls_.cert_file = folder_ + "/tls.crt";
  tls_.key_file = folder_ + "/tls.key";
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto shown = [&](const std::string& name) {
      TlsClient client(port_, {.alpn = "\x02h2", .server_name = name, .version = version});
      EXPECT_THAT(Ask(client, "who"), HasSubstr(" h2 ")) << name;
      return client.ServerCertificate();
    };
    EXPECT_THAT(shown(""), HasSubstr("the-default"));
    EXPECT_THAT(shown("elsewhere.example"), HasSubstr("the-default"));
    EXPECT_THAT(shown("apps.example"), HasSubstr("the-default"));
    EXPECT_THAT(shown("x.y.apps.example"), HasSubstr("the-default"));
    EXPECT_THAT(shown("x.apps.example"), HasSubstr("wildcard"));
    EXPECT_THAT(shown("X.APPS.EXAMPLE"), HasSubstr("wildcard"));
    EXPECT_THAT(shown("other.example"), HasSubstr("wildcard")) << "the first of two";
    EXPECT_THAT(shown("own.example"), HasSubstr("later")) << "a given name before a found one";
  }
  const PemPair next = NewPair("renewed");
  std::ofstream(folder_ + "/b.crt") << next.certificate;
  std::ofstream(folder_ + "/b.key") << next.key;
  watcher_.Poll();
  EXPECT_THAT(TlsClient(port_, {.server_name = "x.apps.example"}).ServerCertificate(),
              HasSubstr("renewed"));
  EXPECT_THAT(TlsClient(port_).ServerCertificate(), HasSubstr("the-default"));
}

TEST_F(ServerTest, ACertificateWithoutGivenNamesIsForItsOwn) {
  const PemPair pair = NewPair("own.example");
  std::ofstream(folder_ + "/a.crt") << pair.certificate;
  std::ofstream(folder_ + "/a.key") << pair.key;
  tls_.named_pairs = {{folder_ + "/a.crt", folder_ + "/a.key"}};
  Start();
  EXPECT_THAT(TlsClient(port_, {.server_name = "own.example"}).ServerCertificate(),
              HasSubstr("own.example"));
  EXPECT_THAT(TlsClient(port_).ServerCertificate(), testing::Not(HasSubstr("own.example")));
  tls_.named_pairs[0].cert_file = folder_ + "/missing.crt";
  EXPECT_THAT(
      std::string(base::Message(Credentials::Load(tls_, watcher_, clock_, metrics_).status())),
      testing::StartsWith("--tls-sni-cert-key: "));
}

TEST_F(ServerTest, KeepsItsSelfSignedPair) {
  Start();
  const std::string first = TlsClient(port_).ServerCertificate();
  EXPECT_THAT(first, HasSubstr("localhost"));
  const auto mode = std::filesystem::status(folder_ + "/certs/apiserver.key").permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  server_.reset();
  Start();
  EXPECT_EQ(TlsClient(port_).ServerCertificate(), first);
  EXPECT_GT(Metric("strata_serving_certificate_expiration_timestamp_seconds"), 1.7e9);
}

TEST_F(ServerTest, WritesItsSelfSignedKeyToNoFileOfSomebodyElse) {
  const std::string certs = folder_ + "/certs", laid = folder_ + "/laid";
  std::filesystem::create_directory(certs);
  std::ofstream(laid) << "nothing";
  std::filesystem::create_symlink(laid, certs + "/apiserver.key.new");
  Start();
  EXPECT_EQ(std::filesystem::file_size(laid), std::string_view("nothing").size());
  EXPECT_FALSE(std::filesystem::is_symlink(certs + "/apiserver.key"));
}

TEST_F(ServerTest, SaysWhatIsWrongWithItsTls) {
  const auto error = [&](const TlsOptions& options) {
    return std::string(
        base::Message(Credentials::Load(options, watcher_, clock_, metrics_).status()));
  };
  TlsOptions options = tls_;
  options.cert_file = folder_ + "/missing.crt";
  EXPECT_THAT(error(options), HasSubstr("--tls-private-key-file"));
  options.key_file = folder_ + "/missing.key";
  EXPECT_EQ(error(options),
            "--tls-cert-file: " + folder_ + "/missing.crt: No such file or directory");
  WritePair({NewPair("a").certificate, NewPair("b").key});
  options.cert_file = folder_ + "/tls.crt";
  EXPECT_EQ(error(options),
            "--tls-private-key-file: " + folder_ + "/missing.key: No such file or directory");
  options.key_file = folder_ + "/tls.key";
  EXPECT_EQ(error(options), "--tls-private-key-file: " + folder_ +
                                "/tls.key: it is not the key of the certificate in " + folder_ +
                                "/tls.crt");
  options = tls_;
  options.client_cas = {{"--requestheader-client-ca-file", folder_ + "/tls.key"}};
  EXPECT_EQ(error(options),
            "--requestheader-client-ca-file: " + folder_ + "/tls.key: no PEM certificate in it");
  options = tls_;
  options.min_version = "VersionTLS10";
  EXPECT_THAT(error(options), HasSubstr("VersionTLS10"));
  options = tls_;
  options.cipher_suites = {"TLS_RSA_WITH_3DES_EDE_CBC_SHA"};
  EXPECT_THAT(error(options), HasSubstr("TLS_RSA_WITH_3DES_EDE_CBC_SHA"));
  options.cipher_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"};
  EXPECT_EQ(error(options), "");
}

}  // namespace
}  // namespace strata::net
