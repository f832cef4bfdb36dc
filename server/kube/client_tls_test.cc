// Which servers the client to kube-apiserver believes: those that client-go does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <future>
#include <string>
#include <thread>

#include "server/kube/client.h"
#include "test/support/certificates.h"

namespace strata::kube {
namespace {

using testing::HasSubstr;
using testing_support::Identity;
using testing_support::Issue;

// Answers one connection after the other with an empty 200, showing one certificate.
class TlsPeer {
 public:
  explicit TlsPeer(const Identity& identity) : context_(SSL_CTX_new(TLS_server_method())) {
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX_use_certificate(context_, identity.certificate);
    SSL_CTX_use_PrivateKey(context_, identity.key);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&name), size), 0);
    listen(listener_, 8);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
    port_ = ntohs(name.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TlsPeer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    SSL_CTX_free(context_);
  }
  std::string url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(port_);
  }

 private:
  void Serve() {
    for (int fd = 0; (fd = accept(listener_, nullptr, nullptr)) >= 0; close(fd)) {
      SSL* ssl = SSL_new(context_);
      SSL_set_fd(ssl, fd);
      char buffer[4096];
      if (SSL_accept(ssl) == 1 && SSL_read(ssl, buffer, sizeof(buffer)) > 0) {
        constexpr std::string_view kAnswer =
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        SSL_write(ssl, kAnswer.data(), kAnswer.size());
        SSL_shutdown(ssl);
      }
      SSL_free(ssl);
    }
  }

  SSL_CTX* const context_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

constexpr int64_t kDay = 86'400;

class KubeTls : public testing::Test {
 protected:
  std::unique_ptr<Identity> Serving(const Identity& issuer, const std::string& name,
                                    const char* names, int64_t until = kDay) const {
    auto identity = Issue(&issuer, name, {}, now - 2 * kDay, now + until, "serverAuth");
    if (names != nullptr) {
      testing_support::AddExtension(identity->certificate, issuer.certificate, NID_subject_alt_name,
                                    names);
      X509_sign(identity->certificate, issuer.key, EVP_sha256());
    }
    return identity;
  }
  // "200", or the error.
  static std::string Get(const Identity& shown, const std::string& ca,
                         const std::string& host = "127.0.0.1", const std::string& name = "") {
    const TlsPeer peer(shown);
    obs::Metrics metrics;
    Config config{.server = peer.url(host), .tls_server_name = name, .ca_pem = ca};
    Client client(config, {}, metrics);
    std::promise<base::StatusOr<Response>> promise;
    auto future = promise.get_future();
    client.Send({.path = "/"},
                [&](base::StatusOr<Response> answer) { promise.set_value(std::move(answer)); });
    const auto answer = future.get();
    return answer.ok() ? std::to_string(answer->status)
                       : std::string(base::Message(answer.status()));
  }

  const int64_t now = std::time(nullptr);
  const std::unique_ptr<Identity> ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
};

TEST_F(KubeTls, BelievesWhomClientGoBelieves) {
  const auto server = Serving(*ca, "kube-apiserver", "IP:127.0.0.1,DNS:kubernetes.default.svc");
  EXPECT_EQ(Get(*server, ca->Pem()), "200");
  EXPECT_EQ(Get(*server, ca->Pem(), "localhost", "kubernetes.default.svc"), "200");
  EXPECT_EQ(Get(*Serving(*ca, "ca", "IP:127.0.0.1"), ca->Pem()), "200") << "named like its CA";
  EXPECT_EQ(Get(*server, server->Pem()), "200") << "an anchor itself";

  const auto root = Issue(nullptr, "root", {}, now - kDay, now + kDay, nullptr);
  const auto issuing = Issue(root.get(), "issuing", {}, now - kDay, now + kDay, nullptr);
  X509_EXTENSION_free(X509_delete_ext(issuing->certificate, 0));
  testing_support::AddExtension(issuing->certificate, root->certificate, NID_basic_constraints,
                                "critical,CA:TRUE");
  X509_sign(issuing->certificate, root->key, EVP_sha256());
  EXPECT_EQ(Get(*Serving(*issuing, "a", "IP:127.0.0.1"), issuing->Pem()), "200");
}

TEST_F(KubeTls, SaysWhichCertificateItRefusesAndWhy) {
  const auto server = Serving(*ca, "kube-apiserver", "IP:127.0.0.1,DNS:kubernetes");
  const auto other = Issue(nullptr, "other", {}, now - kDay, now + kDay, nullptr);
  EXPECT_THAT(Get(*server, other->Pem()),
              HasSubstr("CN=kube-apiserver (serial 07) is signed by an unknown authority: CN=ca"));
  EXPECT_THAT(Get(*Serving(*ca, "old", "IP:127.0.0.1", -kDay), ca->Pem()),
              HasSubstr("CN=old (serial 07) has expired: it was valid until 20"));
  EXPECT_THAT(Get(*server, ca->Pem(), "localhost"),
              HasSubstr("is for kubernetes, 127.0.0.1, not for localhost"));
  EXPECT_THAT(Get(*Serving(*ca, "localhost", nullptr), ca->Pem(), "localhost"),
              HasSubstr("its common name doesn't count"));
  const auto client = Issue(ca.get(), "127.0.0.1", {}, now - kDay, now + kDay, "clientAuth");
  testing_support::AddExtension(client->certificate, ca->certificate, NID_subject_alt_name,
                                "IP:127.0.0.1");
  X509_sign(client->certificate, ca->key, EVP_sha256());
  EXPECT_THAT(Get(*client, ca->Pem()), HasSubstr("is not for servers: serverAuth is missing"));
}

}  // namespace
}  // namespace strata::kube
