#include "lib/transport/net/server.h"

#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rsa.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>

#include "test/support/temp_dir.h"
#include "test/support/tls_client.h"

namespace strata::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing_support::TlsClient;

// Answers each line: "who", "big N", "hold" (until released, or drained), "turns" (held, and wants
// turns, of which it tells the third), "bye", "idle" and "stall" (from then on, and long since);
// throws at "fault", and when it has to send what follows "faulty"; echoes any other.
class LineProtocol final : public Protocol {
 public:
  // `looks` counts how often somebody wants to know whether one is idle, `made` bytes that were
  // taken to be sent.
  LineProtocol(ConnectionInfo info, Channel& channel, std::atomic<int>& looks,
               std::atomic<size_t>& made, std::function<void(LineProtocol*)> on_hold)
      : info_(std::move(info)),
        channel_(channel),
        looks_(looks),
        made_(made),
        on_hold_(std::move(on_hold)) {}

  void Receive(std::string_view bytes, base::MonotonicTime) override {
    if (bytes.empty() && ++turns_ == 3) out_ += "three turns\n";
    in_ += bytes;
    for (size_t end; (end = in_.find('\n')) != std::string::npos; in_.erase(0, end + 1))
      Line(in_.substr(0, end));
  }
  void ReceiveEnd(base::MonotonicTime) override { finished_ = true; }
  size_t Produce(std::span<char> buffer, base::MonotonicTime) override {
    if (out_.starts_with("faulty")) throw std::out_of_range("while sending");
    const size_t n = std::min(buffer.size(), out_.size() - sent_);
    out_.copy(buffer.data(), n, sent_);
    sent_ += n;
    made_ += n;
    return n;
  }
  bool wants_input() const override { return true; }
  bool wants_turn() const override { return wants_turns_ && held_; }
  bool finished() const override { return finished_ && sent_ == out_.size(); }
  void StartDrain(base::MonotonicTime) override {
    drained_ = true;
    if (!held_) finished_ = true;
  }
  base::MonotonicTime next_deadline() const override { return base::MonotonicTime::max(); }
  void OnDeadline(base::MonotonicTime) override {}
  std::optional<base::MonotonicTime> idle_since() const override {
    ++looks_;
    return idle_ ? std::optional(base::MonotonicTime{}) : std::nullopt;
  }
  std::optional<base::MonotonicTime> stalled_since() const override {
    return stalled_ ? std::optional(base::MonotonicTime{}) : std::nullopt;
  }

  void Answer(const std::string& line) {
    Line(line);
    channel_.FlushSoon();
  }
  void Release() {
    held_ = false;
    if (drained_) finished_ = true;
    out_ += "released\n";
    channel_.FlushSoon();
  }

 private:
  void Line(const std::string& line) {
    if (line == "who") {
      out_ += info_.peer_address + " " + info_.alpn + " " +
              std::to_string(info_.certificate_chain.size()) +
              (info_.privileged ? " privileged\n" : "\n");
    } else if (line.starts_with("big ")) {
      const size_t size = std::stoul(line.substr(4));
      std::string text = "abcdefghijklmnopqrstuvwxyz";
      while (text.size() < size) text += text;
      out_.append(text, 0, size);
    } else if (line == "hold" || line == "turns") {
      held_ = true;
      wants_turns_ = line == "turns";
      on_hold_(this);
    } else if (line == "fault") {
      throw std::out_of_range("while receiving");
    } else if (line == "idle" || line == "stall") {
      (line == "idle" ? idle_ : stalled_) = true;
      out_ += "so be it\n";
    } else if (line == "bye") {
      finished_ = true;
    } else {
      out_ += line + "\n";
    }
  }

  const ConnectionInfo info_;
  Channel& channel_;
  std::atomic<int>& looks_;
  std::atomic<size_t>& made_;
  const std::function<void(LineProtocol*)> on_hold_;
  std::string in_, out_;
  size_t sent_ = 0;
  int turns_ = 0;
  bool held_ = false, wants_turns_ = false, drained_ = false, finished_ = false, idle_ = false,
       stalled_ = false;
};

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

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    tls_.cert_dir = folder_ + "/certs";
    options_.io_threads = 2;
    options_.connection.tick = milliseconds(10);
  }
  ~ServerTest() override { server_.reset(); }

  void Start() {
    auto credentials = Credentials::Load(tls_, watcher_, clock_, metrics_);
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    credentials_ = *std::move(credentials);
    const auto factory = [this](ConnectionInfo info, Channel& channel, base::MonotonicTime) {
      {
        absl::MutexLock lock(&mu_);
        last_chain_ = info.certificate_chain;
      }
      return std::make_unique<LineProtocol>(std::move(info), channel, looks_, made_,
                                            [this, &channel](LineProtocol* protocol) {
                                              absl::MutexLock lock(&mu_);
                                              held_.push_back({protocol, channel.executor()});
                                            });
    };
    server_ = std::make_unique<Server>(options_, *credentials_, factory, clock_, obs::NullLogger(),
                                       metrics_);
    const base::Status status = server_->Start({{"127.0.0.1", 0}});
    ASSERT_TRUE(status.ok()) << status;
    port_ = server_->ports()[0];
  }

  std::string Ask(TlsClient& client, const std::string& line) {
    client.Write(line + "\n");
    return client.ReadUntil("\n");
  }
  void WaitForHeld(size_t count) {
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return held_.size() >= count; };
    absl::MutexLock lock(&mu_);
    ASSERT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(10)));
  }
  void ReleaseAll() {
    absl::MutexLock lock(&mu_);
    for (auto& [protocol, executor] : held_) executor->Post([p = protocol] { p->Release(); });
  }
  double Metric(const std::string& name) {
    const std::string text = metrics_.Text();
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  void WaitForMetric(const std::string& name, double value) {
    const auto until = std::chrono::steady_clock::now() + seconds(10);
    while (Metric(name) != value && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    EXPECT_EQ(Metric(name), value) << name;
  }
  static PemPair NewPair(const std::string& name) {
    return *MakeSelfSigned({name}, std::chrono::hours(24), std::chrono::system_clock::now());
  }
  void WritePair(const PemPair& pair) {
    std::ofstream(folder_ + "/tls.crt") << pair.certificate;
    std::ofstream(folder_ + "/tls.key") << pair.key;
  }

  struct Held {
    LineProtocol* protocol;
    std::shared_ptr<Executor> executor;
  };

  const testing_support::TempDir dir_;
  const std::string folder_ = dir_.path();
  TlsOptions tls_;
  ServerOptions options_;
  base::SystemClock clock_;
  obs::Metrics metrics_;
  files::FileWatcher watcher_{{.poll_interval = milliseconds(0)}, obs::NullLogger(), metrics_};
  absl::Mutex mu_;
  std::vector<Held> held_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> last_chain_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Credentials> credentials_;
  std::atomic<int> looks_ = 0;
  std::atomic<size_t> made_ = 0;
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
};

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

TEST_F(ServerTest, AFaultOfAProtocolEndsItsConnectionAlone) {
  Start();
  TlsClient bystander(port_);
  EXPECT_EQ(Ask(bystander, "hello"), "hello\n");
  for (const char* line : {"fault", "faulty"}) {
    TlsClient client(port_);
    EXPECT_EQ(Ask(client, line), "");
  }
  WaitForMetric("strata_connections_rejected_total{reason=\"fault\"}", 2);
  EXPECT_EQ(Ask(bystander, "hello"), "hello\n");
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

TEST_F(ServerTest, SendsMoreThanTheClientReadsAtOnce) {
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  client.Write("big 8000000\n");
  const std::string all = client.Read(8'000'000);
  ASSERT_EQ(all.size(), 8'000'000u);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<char>('a' + i % 26)) << i;
  EXPECT_EQ(Ask(client, "next"), "next\n");
}

TEST_F(ServerTest, ServesOthersWhileOneReadsNothing) {
  options_.io_threads = 1;
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 50000000\n");
  TlsClient client(port_);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Ask(client, "hello"), "hello\n");
  EXPECT_GE(made_, 16u << 10);
  EXPECT_LT(made_, 25'000'000u) << "more than the sockets hold is made when that is read";
}

TEST_F(ServerTest, GivesUpAClientThatDoesNotRead) {
  options_.connection.write_timeout = milliseconds(100);
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 50000000\n");
  WaitForMetric("strata_connections_rejected_total{reason=\"write_timeout\"}", 1);
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
}

TEST_F(ServerTest, GivesUpAClientThatReadsSlowerThanTheLeastRate) {
  options_.connection.write_timeout = milliseconds(500);
  options_.connection.min_read_rate = 4'000'000;
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 50000000\n");
  // Never without progress for long, and never as fast as it should.
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (slow.Read(4000).size() == 4000 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds(20));
  WaitForMetric("strata_connections_rejected_total{reason=\"write_timeout\"}", 1);

  options_.connection.write_timeout = seconds(5);
  options_.connection.min_read_rate = 1000;
  server_.reset();
  Start();
  TlsClient honest(port_, {.receive_buffer = 8 << 10});
  honest.Write("big 2000000\n");
  size_t got = 0;
  for (size_t n; got < 2'000'000 && (n = honest.Read(20'000).size()) > 0; got += n)
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(got, 2'000'000u);
}

TEST_F(ServerTest, GivesUpAHandshakeThatTakesTooLong) {
  options_.connection.handshake_timeout = milliseconds(50);
  Start();
  TlsClient client(port_, {.handshake = false});
  char c;
  EXPECT_LE(recv(client.fd(), &c, 1, 0), 0);
  WaitForMetric("apiserver_tls_handshake_errors_total", 1);
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

TEST_F(ServerTest, ToleratesConnectionsThatComeToNothing) {
  Start();
  for (int i = 0; i < 50; ++i) {
    TlsClient silent(port_, {.handshake = false});
    TlsClient noise(port_, {.handshake = false});
    EXPECT_EQ(send(noise.fd(), "\x16\x03\x01\xff\xff garbage", 13, 0), 13);
    TlsClient gone(port_);
    gone.Write("hold\n");
  }
  WaitForMetric("strata_connections{protocol=\"handshake\"}", 0);
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
  TlsClient client(port_);
  EXPECT_EQ(Ask(client, "hello"), "hello\n");
}

TEST_F(ServerTest, AClientThatIsGoneBeforeALongAnswerEndsItsConnectionAlone) {
  Start();
  auto gone = std::make_unique<TlsClient>(port_);
  gone->Write("hold\n");
  WaitForHeld(1);
  absl::Notification reset;
  {
    absl::MutexLock lock(&mu_);
    // Its thread learns of it by what it sends.
    held_[0].executor->Post([&reset, held = held_[0].protocol] {
      reset.WaitForNotification();
      held->Answer("big 1000000");
    });
  }
  const linger at_once{1, 0};
  setsockopt(gone->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  gone.reset();
  reset.Notify();
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
  TlsClient client(port_);
  EXPECT_EQ(Ask(client, "hello"), "hello\n");
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

TEST_F(ServerTest, SaysGoodbyeAfterTheLastByte) {
  Start();
  TlsClient client(port_);
  client.Write("big 1000000\nbye\n");
  EXPECT_EQ(client.Read(1'000'000).size(), 1'000'000u);
  char c;
  const int n = SSL_read(client.ssl(), &c, 1);
  EXPECT_EQ(SSL_get_error(client.ssl(), n), SSL_ERROR_ZERO_RETURN);
}

// A turn makes the whole answer, and the socket doesn't take it.
TEST_F(ServerTest, TheLastAnswerGoesOutWholeToAClientThatHasClosedItsSide) {
  options_.connection.turn_bytes = 32 << 20;
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  client.Write("big 16000000\nbye\n");
  shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(client.Read(16'000'000).size(), 16'000'000u);
  EXPECT_TRUE(client.ReadEnd());
}

// A turn makes the whole answer, and the socket doesn't take it.
TEST_F(ServerTest, TheLastAnswerMayBeReadForAsLongAsOthers) {
  options_.connection.turn_bytes = 32 << 20;
  options_.connection.linger_timeout = milliseconds(1);
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  client.Write("big 16000000\nbye\n");
  // Some ticks, at which nothing may happen.
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(client.Read(16'000'000).size(), 16'000'000u);
  EXPECT_TRUE(client.ReadEnd());
}

// A turn makes the whole answer, and the socket doesn't take it.
TEST_F(ServerTest, GivesUpAClientThatDoesNotReadItsLastAnswer) {
  options_.connection.turn_bytes = 32 << 20;
  options_.connection.write_timeout = milliseconds(100);
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 16000000\nbye\n");
  WaitForMetric("strata_connections_rejected_total{reason=\"write_timeout\"}", 1);
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
}

TEST_F(ServerTest, WhatIsTooMuchForATurnWaitsForOthers) {
  options_.io_threads = 1;
  Start();
  TlsClient busy(port_);
  busy.Write("turns\n");
  WaitForHeld(1);
  TlsClient bystander(port_);
  EXPECT_EQ(Ask(bystander, "hello"), "hello\n");
  EXPECT_EQ(busy.ReadUntil("\n"), "three turns\n");
  ReleaseAll();
  EXPECT_EQ(busy.ReadUntil("\n"), "released\n");
}

TEST_F(ServerTest, KeepsAReserveForThePrivileged) {
  const PemPair proxy = NewPair("front-proxy");
  options_.max_connections = 2;
  options_.reserved_connections = 2;
  options_.connection.is_privileged = [](const ConnectionInfo& info) {
    return !info.certificate_chain.empty();
  };
  Start();
  TlsClient one(port_), two(port_);
  EXPECT_EQ(Ask(one, "1"), "1\n");
  EXPECT_EQ(Ask(two, "2"), "2\n");
  // However long those stay that are refused, they hold no place of it.
  TlsClient three(port_), four(port_), five(port_);
  EXPECT_EQ(Ask(three, "3"), "");
  EXPECT_EQ(Ask(four, "3"), "");
  EXPECT_EQ(Ask(five, "3"), "");
  WaitForMetric("strata_connections{protocol=\"handshake\"}", 0);
  TlsClient privileged(port_, {.certificate = &proxy});
  EXPECT_THAT(Ask(privileged, "who"), HasSubstr(" privileged\n"));
}

TEST_F(ServerTest, ClosesIdleStrangersWhenConnectionsAreFull) {
  const PemPair proxy = NewPair("front-proxy");
  const std::string evicted = "strata_connections_rejected_total{reason=\"idle\"}";
  options_.max_connections = 3;
  options_.reserved_connections = 1;
  options_.connection.is_privileged = [](const ConnectionInfo& info) {
    return !info.certificate_chain.empty();
  };
  Start();
  TlsClient privileged(port_, {.certificate = &proxy}), busy(port_), idle(port_);
  EXPECT_EQ(Ask(privileged, "idle"), "so be it\n");
  EXPECT_EQ(Ask(busy, "1"), "1\n");
  EXPECT_EQ(Ask(idle, "idle"), "so be it\n");
  TlsClient next(port_);
  EXPECT_EQ(Ask(next, "2"), "2\n") << "the idle stranger made place";
  EXPECT_TRUE(idle.ReadEnd());
  EXPECT_EQ(Metric(evicted), 1);
  {
    TlsClient stranger(port_);
    EXPECT_EQ(Ask(stranger, "3"), "") << "nobody is idle any more";
  }
  EXPECT_EQ(Ask(busy, "4"), "4\n");
  EXPECT_EQ(Ask(privileged, "5"), "5\n");
}

TEST_F(ServerTest, WhoDoesNotTakeHisAnswersGivesWayToOthers) {
  options_.io_threads = 1;
  options_.max_connections = 3;
  Start();
  TlsClient busy(port_), stalled(port_);
  // Nothing fits into its socket, so that the protocol isn't even asked.
  TlsClient deaf(port_, {.receive_buffer = 8 << 10});
  EXPECT_EQ(Ask(busy, "1"), "1\n");
  EXPECT_EQ(Ask(stalled, "stall"), "so be it\n");
  deaf.Write("big 16000000\n");
  const auto comes = [&] {
    TlsClient next(port_);
    return Ask(next, "2") == "2\n";
  };
  EXPECT_TRUE(comes());
  EXPECT_TRUE(stalled.ReadEnd());
  TlsClient third(port_);
  EXPECT_EQ(Ask(third, "3"), "3\n");
  bool in = false;
  for (const auto until = clock_.Now() + seconds(20); !in && clock_.Now() < until;) in = comes();
  EXPECT_TRUE(in) << "the one that doesn't read made place";
  EXPECT_EQ(Ask(busy, "4"), "4\n");
  EXPECT_EQ(Ask(third, "5"), "5\n");
}

TEST_F(ServerTest, LooksAtAFewConnectionsForOneThatIsIdle) {
  options_.io_threads = 1;
  options_.max_connections = 10;
  options_.reserved_connections = 4;
  options_.connection.eviction_sample = 2;
  Start();
  std::vector<std::unique_ptr<TlsClient>> busy;
  for (int i = 0; i < 10; ++i) {
    busy.push_back(std::make_unique<TlsClient>(port_));
    EXPECT_EQ(Ask(*busy.back(), "1"), "1\n");
  }
  for (int i = 0; i < 10; ++i) {
    TlsClient stranger(port_);
    EXPECT_EQ(Ask(stranger, "2"), "");
  }
  EXPECT_LE(looks_, 20);
  EXPECT_EQ(Ask(*busy[7], "idle"), "so be it\n");
  bool in = false;
  for (int i = 0; i < 30 && !in; ++i) {
    TlsClient next(port_);
    in = Ask(next, "3") == "3\n";
  }
  EXPECT_TRUE(in) << "those that are looked at aren't always the same";
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

TEST_F(ServerTest, TheReserveIsNotForStrangersWhoSayNothing) {
  const PemPair proxy = NewPair("front-proxy");
  options_.max_connections = 4;
  options_.reserved_connections = 2;
  options_.connection.is_privileged = [](const ConnectionInfo& info) {
    return !info.certificate_chain.empty();
  };
  Start();
  // Far more than there is room for, silent and half-way into TLS.
  std::vector<std::unique_ptr<TlsClient>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<TlsClient>(port_, TlsClient::Options{.handshake = false}));
    send(silent.back()->fd(), "\x16\x03\x01\x02\0", 5, MSG_NOSIGNAL);
  }
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  bool in = false;
  while (!in && std::chrono::steady_clock::now() < until) {
    TlsClient client(port_, {.certificate = &proxy});
    in = client.established() && Ask(client, "1") == "1\n";
  }
  EXPECT_TRUE(in);
}

TEST_F(ServerTest, RestsWhenThereAreNoDescriptorsAndGoesOn) {
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "UBSan wants descriptors to learn of a type";
#endif
#endif
  options_.accept_pause = milliseconds(5);
  Start();
  TlsClient warm(port_);
  EXPECT_EQ(Ask(warm, "1"), "1\n");
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit lowered{static_cast<rlim_t>(client) + 1, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &lowered);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string errors = "strata_connections_rejected_total{reason=\"accept_error\"}";
  const auto until = std::chrono::steady_clock::now() + seconds(10);
  while (Metric(errors) < 1 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(2));
  }
  EXPECT_GE(Metric(errors), 1);
  EXPECT_EQ(Ask(warm, "still"), "still\n");
  setrlimit(RLIMIT_NOFILE, &limit);
  TlsClient later(port_);
  EXPECT_EQ(Ask(later, "2"), "2\n");
  close(client);
}

TEST_F(ServerTest, AnswersThatComeFromOtherThreadsGoOut) {
  Start();
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<TlsClient>(port_));
    clients.back()->Write("hold\n");
  }
  WaitForHeld(20);
  ReleaseAll();
  for (const auto& client : clients) EXPECT_EQ(client->ReadUntil("\n"), "released\n");
}

TEST_F(ServerTest, RunsTasksInTheirOrderAndDropsThemOnceItHasStopped) {
  Start();
  TlsClient client(port_);
  client.Write("hold\n");
  WaitForHeld(1);
  std::shared_ptr<Executor> executor;
  {
    absl::MutexLock lock(&mu_);
    executor = held_[0].executor;
  }
  std::vector<int> order;
  bool in_thread = false;
  executor->Post([&] {
    absl::MutexLock lock(&mu_);
    order.push_back(1);
    in_thread = executor->InThread();
  });
  executor->Post([&] {
    absl::MutexLock lock(&mu_);
    order.push_back(2);
  });
  {
    const auto done = [&] { return order.size() == 2; };
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&done), absl::Seconds(10)));
    EXPECT_THAT(order, ::testing::ElementsAre(1, 2));
    EXPECT_TRUE(in_thread);
  }
  EXPECT_FALSE(executor->InThread());
  server_->Stop();
  const auto token = std::make_shared<int>(1);
  executor->Post([token] {});
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(ServerTest, DrainsTheIdleAtOnceAndTheBusyWhenTheyAreDone) {
  options_.connection.linger_timeout = milliseconds(20);
  Start();
  TlsClient idle(port_), busy(port_), silent(port_, {.handshake = false});
  EXPECT_EQ(Ask(idle, "x"), "x\n");
  busy.Write("hold\n");
  WaitForHeld(1);
  size_t left = 3;
  for (int i = 0; left > 1 && i < 20; ++i) left = server_->Drain(milliseconds(500));
  EXPECT_EQ(left, 1u);
  EXPECT_TRUE(idle.ReadEnd());
  EXPECT_FALSE(TlsClient(port_, {.handshake = false}).connected());
  ReleaseAll();
  EXPECT_EQ(busy.ReadUntil("\n"), "released\n");
  EXPECT_TRUE(busy.ReadEnd());
  EXPECT_EQ(server_->Drain(seconds(10)), 0u);
}

TEST_F(ServerTest, ADrainDoesNotWaitForHandshakesThatDoNotEnd) {
  options_.drain_idle_patience = milliseconds(50);
  Start();
  TlsClient half(port_, {.handshake = false});
  send(half.fd(), "\x16\x03\x01\x02\0", 5, MSG_NOSIGNAL);
  WaitForMetric("strata_network_bytes_total{direction=\"received\"}", 5);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(server_->Drain(seconds(60)), 0u);
  // The handshake's own limit is longer.
  EXPECT_LT(std::chrono::steady_clock::now() - start, options_.connection.handshake_timeout);
}

TEST_F(ServerTest, ListensOnAllOrNothing) {
  Start();
  Server other(options_, *credentials_, nullptr, clock_, obs::NullLogger(), metrics_);
  EXPECT_THAT(std::string(base::Message(other.Start({{"127.0.0.1", 0}, {"127.0.0.1", port_}}))),
              HasSubstr("in use"));
  EXPECT_THAT(std::string(base::Message(other.Start({{"localhost", 0}}))),
              HasSubstr("not an IP address"));
  EXPECT_TRUE(other.ports().empty());
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
