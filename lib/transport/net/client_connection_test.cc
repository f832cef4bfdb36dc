#include "lib/transport/net/client_connection.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "lib/transport/net/self_signed.h"
#include "test/support/silent_listener.h"

namespace strata::net {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

PemPair ForLocalhost() {
  return *MakeSelfSigned({"localhost"}, std::chrono::hours(24), base::SystemClock().WallNow());
}

auto Trusting(const PemPair& pair) {
  const fs::path ca = fs::temp_directory_path() / ("strata-client-" + std::to_string(getpid()));
  std::ofstream(ca) << pair.certificate;
  auto files = *ClientCredentials::Load({.server = "server", .protocol = "h2", .ca = {"--ca", ca}},
                                        obs::NullLogger(), std::nullopt);
  fs::remove(ca);
  return files;
}

// A server that sends session tickets before it says anything: RFC 8446 §4.6.1 bounds them by
// nothing.
class TicketServer {
 public:
  static constexpr int kTickets = 6'000;

  explicit TicketServer(const PemPair& pair) : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(context_, 0);  // with the handshake
    BIO* const certificate = BIO_new_mem_buf(pair.certificate.data(), -1);
    X509* const x509 = PEM_read_bio_X509(certificate, nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(context_, x509);
    BIO* const key = BIO_new_mem_buf(pair.key.data(), -1);
    EVP_PKEY* const pkey = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    SSL_CTX_use_PrivateKey(context_, pkey);
    X509_free(x509);
    EVP_PKEY_free(pkey);
    BIO_free(certificate);
    BIO_free(key);
    SSL_CTX_set_alpn_select_cb(
        context_,
        [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
           void*) {
          *size = in[0];
          *out = in + 1;
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    thread_ = std::thread([this] { Run(); });
  }
  TicketServer(const TicketServer&) = delete;
  TicketServer& operator=(const TicketServer&) = delete;
  ~TicketServer() {
    thread_.join();
    SSL_CTX_free(context_);
  }

  std::string port() const { return listener_.address().substr(listener_.address().find(':') + 1); }

 private:
  void Run() {
    const int peer = listener_.Accept();
    SSL* const ssl = SSL_new(context_);
    SSL_set_fd(ssl, peer);
    EXPECT_EQ(SSL_accept(ssl), 1);
    // All at once, so that the client never waits for the next one.
    BIO* const made = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, made);
    for (int i = 0; i < kTickets; ++i) {
      EXPECT_EQ(SSL_new_session_ticket(ssl), 1);
      EXPECT_EQ(SSL_do_handshake(ssl), 1);
    }
    EXPECT_EQ(SSL_write(ssl, "x", 1), 1);
    char* bytes = nullptr;
    const auto size = static_cast<size_t>(BIO_get_mem_data(made, &bytes));
    EXPECT_GT(size, size_t{1} << 20);
    for (size_t sent = 0; sent < size;) {
      const ssize_t some = send(peer, bytes + sent, size - sent, MSG_NOSIGNAL);
      if (some <= 0) break;
      sent += static_cast<size_t>(some);
    }
    SSL_free(ssl);
    close(peer);
  }

  testing_support::SilentListener listener_;
  SSL_CTX* const context_;
  std::thread thread_;
};

TEST(ClientConnection, AServerThatSendsRecordsWithoutDataHoldsUpNoDeadline) {
  const PemPair pair = ForLocalhost();
  const auto files = Trusting(pair);
  const Interruption never;
  {
    TicketServer server(pair);
    const auto dialled =
        ClientConnection::Dial({.host = "localhost", .port = server.port()}, files.get(), never,
                               steady_clock::now() + std::chrono::seconds(20));
    ASSERT_TRUE(dialled.ok()) << dialled.status();
    pollfd first{(*dialled)->socket(), POLLIN, 0};
    ASSERT_EQ(poll(&first, 1, 20'000), 1);
    EXPECT_EQ((*dialled)->Read(steady_clock::now()).status().code(),
              base::StatusCode::kDeadlineExceeded);
    // Whoever waits for more than one thing comes back in between.
    std::string got;
    int attempts = 0;
    for (short events = 0; got.empty(); ++attempts) {
      char byte = 0;
      const auto read = (*dialled)->TryRead(&byte, 1, events);
      ASSERT_TRUE(read.ok()) << read.status();
      if (*read > 0) got = byte;
      if (!got.empty()) break;
      pollfd polled{(*dialled)->socket(), events, 0};
      ASSERT_EQ(poll(&polled, 1, 20'000), 1);
    }
    EXPECT_EQ(got, "x");
    EXPECT_GE(attempts, 2);
  }
}

// Sends HelloRequests, which a client skips, until nobody takes them.
class FloodingServer {
 public:
  ~FloodingServer() { thread_.join(); }
  std::string port() const { return listener_.address().substr(listener_.address().find(':') + 1); }

 private:
  void Run() {
    const int peer = listener_.Accept();
    std::string records;
    while (records.size() < (1 << 20)) {
      records += std::string("\x16\x03\x03\x10\x00", 5);
      records.append(0x1000, '\0');
    }
    while (send(peer, records.data(), records.size(), MSG_NOSIGNAL) > 0) continue;
    close(peer);
  }

  testing_support::SilentListener listener_;
  std::thread thread_{[this] { Run(); }};
};

TEST(ClientConnection, AServerThatSaysNothingWithManyBytesHoldsUpNoDeadline) {
  const auto files = Trusting(ForLocalhost());
  const Interruption never;
  FloodingServer server;
  const auto dialled =
      ClientConnection::Dial({.host = "localhost", .port = server.port()}, files.get(), never,
                             steady_clock::now() + std::chrono::milliseconds(500));
  EXPECT_EQ(dialled.status().code(), base::StatusCode::kDeadlineExceeded) << dialled.status();
}

}  // namespace
}  // namespace strata::net
