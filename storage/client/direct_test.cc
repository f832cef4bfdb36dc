#include "storage/client/direct.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/obs/log.h"
#include "lib/x509/certificate.h"
#include "proto/etcd/rpc.pb.h"
#include "storage/client/channel.h"
#include "storage/engine/store.h"
#include "storage/rpc/server.h"
#include "test/support/certificates.h"
#include "test/support/fake_etcd.h"
#include "test/support/http2_bytes.h"
#include "test/support/http_peer.h"
#include "test/support/silent_listener.h"
#include "test/support/waiting.h"

namespace strata::client {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing_support::FakeEtcd;
using testing_support::Identity;
using testing_support::In;
using testing_support::Issue;

struct Files {
  Files(const std::string& url, const Options& options) {
    if (url.starts_with("https")) files = *LoadTlsFiles(options, obs::NullLogger(), metrics);
  }
  obs::Metrics metrics;
  std::unique_ptr<net::ClientCredentials> files;
};

// With what it needs.
class Dialled : Files, public DirectConnection {
 public:
  explicit Dialled(const std::string& url, const Options& options = {})
      : Files(url, options),
        DirectConnection(*ParseAddress(url), files.get(),
                         {options.dial_timeout, options.dial_timeout}) {}
};

UnaryRequest RangeOf(const std::string& key) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  return {.path = "/etcdserverpb.KV/Range", .message = request.SerializeAsString()};
}

// The store's revision, or the error.
std::string Ask(DirectConnection& connection, milliseconds patience = milliseconds(5000)) {
  const auto answer = connection.Call(RangeOf("a"), In(patience));
  if (!answer.ok()) return answer.status().ToString();
  etcdserverpb::RangeResponse response;
  EXPECT_TRUE(response.ParseFromString(*answer));
  return std::to_string(response.header().revision());
}

TEST(DirectConnection, AsksAgainAndAgainOverOneConnection) {
  FakeEtcd etcd;
  Dialled connection(etcd.url());
  for (int i = 0; i < 200; ++i) {
    const base::Revision put = etcd.Put("a", std::to_string(i));
    ASSERT_EQ(Ask(connection), std::to_string(put));
  }
}

TEST(DirectConnection, SaysWhatTheServerSays) {
  FakeEtcd etcd;
  Dialled connection(etcd.url());
  UnaryRequest request = RangeOf("a");
  request.path = "/etcdserverpb.KV/Nothing";
  const auto none = connection.Call(request, In(milliseconds(5000)));
  EXPECT_EQ(none.status().code(), base::StatusCode::kUnimplemented) << none.status();
  EXPECT_EQ(Ask(connection), std::to_string(etcd.revision())) << "and goes on";
}

TEST(DirectConnection, DialsAgainWhenTheServerHasBeenAway) {
  FakeEtcd etcd;
  Dialled connection(etcd.url());
  ASSERT_EQ(Ask(connection), std::to_string(etcd.revision()));
  etcd.Down();
  EXPECT_THAT(Ask(connection), HasSubstr("UNAVAILABLE: connecting: Connection refused"));
  etcd.Up();
  EXPECT_EQ(Ask(connection), std::to_string(etcd.revision()));
  etcd.Down();
  etcd.Up();
  EXPECT_EQ(Ask(connection), std::to_string(etcd.revision())) << "without anybody's noticing";
}

TEST(DirectConnection, KeepsToItsDeadline) {
  FakeEtcd etcd;
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  Dialled connection(etcd.url());
  const auto start = steady_clock::now();
  EXPECT_THAT(Ask(connection, milliseconds(100)), HasSubstr("DEADLINE_EXCEEDED"));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
  etcd.Behave([](auto& b) { b.hang_reads = false; });
  EXPECT_EQ(Ask(connection), std::to_string(etcd.revision()));
}

TEST(DirectConnection, WaitsNoLongerForAServerThatIsSilent) {
  const testing_support::SilentListener silent;
  for (const char* scheme : {"http", "https"}) {
    Dialled connection(std::string(scheme) + "://" + silent.address());
    EXPECT_EQ(Ask(connection, milliseconds(100)), "DEADLINE_EXCEEDED: no answer in time");
  }
}

TEST(DirectConnection, WaitsNoLongerForAServerThatNeverPauses) {
  testing_support::SilentListener listener;
  std::thread server([&] {
    const std::string settings(testing_support::Frame(testing_support::kSettings, 0, 0, ""));
    std::string pings;
    for (int i = 0; i < 1000; ++i)
      pings += testing_support::Frame(testing_support::kPing, 0, 0, "12345678");
    const int peer = listener.Accept();
    std::array<char, 65'536> told;
    const auto say = [&](const std::string& bytes) {
      (void)recv(peer, told.data(), told.size(), MSG_DONTWAIT);
      return send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0;
    };
    for (bool goes_on = say(settings); goes_on;) goes_on = say(pings);
    close(peer);
  });
  {
    Dialled connection("http://" + listener.address());
    EXPECT_EQ(Ask(connection, milliseconds(300)), "DEADLINE_EXCEEDED: no answer in time");
  }
  server.join();
}

TEST(DirectConnection, IsInterrupted) {
  FakeEtcd etcd;
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  Dialled connection(etcd.url());
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));
    connection.Interrupt();
  });
  EXPECT_EQ(Ask(connection, milliseconds(20'000)), "CANCELLED: interrupted");
  other.join();
  etcd.Behave([](auto& b) { b.hang_reads = false; });
}

TEST(DirectConnection, RefusesAServerOfSomethingElse) {
  testing_support::HttpPeer peer([](const auto&) {
    return testing_support::HttpPeer::Answer{"HTTP/1.1 400 Bad Request\r\n\r\n", false};
  });
  Dialled connection(peer.url());
  EXPECT_THAT(Ask(connection), HasSubstr("UNAVAILABLE: "));
}

// The embedded store behind TLS, or on a unix socket.
class DirectToStore : public testing::Test {
 protected:
  DirectToStore() {
    signal(SIGPIPE, SIG_IGN);
    fs::create_directories(root);
    store = *engine::Store::Open(root / "store", {}, clock, obs::NullLogger(), metrics);
    ca = Signed(nullptr, "ca", nullptr);
    Write("ca", ca->Pem());
    const auto identity = Signed(ca.get(), "localhost", "serverAuth", "DNS:localhost,IP:127.0.0.1");
    Write("cert", identity->Pem());
    Write("key", identity->KeyPem());
  }
  ~DirectToStore() override {
    if (server != nullptr) server->Shutdown(absl::Seconds(1));
    server.reset();
    store.reset();
    fs::remove_all(root);
  }

  std::unique_ptr<Identity> Signed(const Identity* signer, const char* name, const char* usage,
                                   const char* names = nullptr) const {
    auto identity = Issue(signer, name, {}, now - kDay, now + kDay, usage);
    if (names == nullptr) return identity;
    testing_support::AddExtension(identity->certificate, signer->certificate, NID_subject_alt_name,
                                  names);
    X509_sign(identity->certificate, signer->key, EVP_sha256());
    return identity;
  }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(root / name) << text;
    return root / name;
  }
  // Its port, for TLS.
  std::string Serve(rpc::Options options) {
    server = std::make_unique<rpc::Server>(*store, std::move(options), obs::NullLogger(), metrics);
    const auto started = server->Start();
    EXPECT_TRUE(started.ok()) << started;
    const std::string url = server->urls().front();
    return url.substr(url.rfind(':') + 1);
  }
  rpc::Options Tls() const {
    rpc::Options options;
    options.listen_urls = {"https://127.0.0.1:0"};
    options.cert_file = root / "cert";
    options.key_file = root / "key";
    return options;
  }

  static constexpr int64_t kDay = 86'400;
  const int64_t now = std::time(nullptr);
  const fs::path root = fs::temp_directory_path() / ("strata-direct-" + std::to_string(getpid()));
  const base::SystemClock clock;
  obs::Metrics metrics;
  std::unique_ptr<Identity> ca;
  std::unique_ptr<engine::Store> store;
  std::unique_ptr<rpc::Server> server;
};

TEST_F(DirectToStore, VerifiesTheServer) {
  const std::string port = Serve(Tls());
  const std::string stranger = Write("stranger", Signed(nullptr, "stranger", nullptr)->Pem());
  const struct {
    std::string url, ca, answer;
  } kCases[] = {
      {"https://localhost:" + port, root / "ca", "1"},
      {"https://127.0.0.1:" + port, root / "ca", "1"},
      {"https://localhost:" + port, root / "cert", "1"},  // an anchor is whatever is in the file
      {"https://localhost:" + port, stranger, "isn't trusted by --etcd-cafile " + stranger},
      {"https://127.0.0.2:" + port, root / "ca", ""},  // nobody's address, or nobody's certificate
  };
  for (const auto& c : kCases) {
    Dialled connection(c.url, {.ca_file = c.ca});
    const std::string answer = Ask(connection);
    EXPECT_THAT(answer, HasSubstr(c.answer)) << c.url << " " << c.ca;
    EXPECT_EQ(answer == "1", c.answer == "1") << answer;
    if (c.answer != "1") {
      EXPECT_THAT(answer, testing::StartsWith("UNAVAILABLE: "));
    }
  }
}

TEST_F(DirectToStore, SaysWhoseCertificateHasEndedAndWhen) {
  auto ended = Issue(ca.get(), "ended", {}, now - 2 * kDay, now - kDay, "serverAuth");
  testing_support::AddExtension(ended->certificate, ca->certificate, NID_subject_alt_name,
                                "DNS:localhost");
  X509_sign(ended->certificate, ca->key, EVP_sha256());
  Write("cert", ended->Pem());
  Write("key", ended->KeyPem());
  Dialled connection("https://localhost:" + Serve(Tls()), {.ca_file = root / "ca"});
  EXPECT_THAT(Ask(connection), testing::AllOf(HasSubstr("CN=ended"), HasSubstr("expired"),
                                              HasSubstr(x509::TimeText(now - kDay))));
}

TEST_F(DirectToStore, SaysWhatToDoWhereTheSchemeIsWrong) {
  const std::string tls_port = Serve(Tls());
  Dialled plain("http://localhost:" + tls_port);
  EXPECT_THAT(Ask(plain), HasSubstr("https://"));
  FakeEtcd etcd;
  Dialled secure("https" + etcd.url().substr(4), {.ca_file = root / "ca"});
  EXPECT_THAT(Ask(secure), HasSubstr("is it http://?"));
}

TEST_F(DirectToStore, ShowsItsCertificate) {
  rpc::Options options = Tls();
  options.client_ca_file = root / "ca";
  const std::string url = "https://localhost:" + Serve(options);
  const auto identity = Signed(ca.get(), "client", "clientAuth");
  const Options shown{.ca_file = root / "ca",
                      .cert_file = Write("client", identity->Pem()),
                      .key_file = Write("client-key", identity->KeyPem())};
  Dialled with(url, shown);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(Ask(with), "1");
  Dialled without(url, {.ca_file = root / "ca"});
  EXPECT_THAT(Ask(without), testing::AllOf(HasSubstr("UNAVAILABLE"), HasSubstr("--etcd-certfile")));

  // Replaced while it runs: a new connection shows the new one.
  const auto strangers = Signed(nullptr, "strangers", nullptr);
  const auto stranger = Signed(strangers.get(), "stranger", "clientAuth");
  Dialled rotated(url, shown);
  Write("client", stranger->Pem());
  Write("client-key", stranger->KeyPem());
  EXPECT_THAT(Ask(rotated), HasSubstr("UNAVAILABLE"));
  Write("client", identity->Pem());
  Write("client-key", identity->KeyPem());
  EXPECT_EQ(Ask(rotated), "1");
}

TEST_F(DirectToStore, SpeaksOverAUnixSocket) {
  rpc::Options options;
  options.listen_urls = {"unix://" + (root / "socket").string()};
  Serve(options);
  Dialled connection(options.listen_urls.front());
  EXPECT_EQ(Ask(connection), "1");
}

}  // namespace
}  // namespace strata::client
