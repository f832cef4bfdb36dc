#include "server/serving/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/transport/net/server.h"
#include "lib/transport/net/worker_pool.h"
#include "test/support/http2_bytes.h"
#include "test/support/metric.h"
#include "test/support/temp_dir.h"
#include "test/support/tls_client.h"
#include "test/support/waiting.h"

namespace strata::serving {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace testing_support;  // NOLINT(google-build-using-namespace): a frame's constants

// A body of kPieces pieces, most of which come later.
class Countdown final : public http::Body {
 public:
  static constexpr int kPieces = 300;
  static constexpr size_t kPiece = 10'000;

  Countdown(bool breaks, std::function<void()> later, std::function<void()> gone)
      : breaks_(breaks), later_(std::move(later)), gone_(std::move(gone)) {}
  ~Countdown() override { gone_(); }

  Piece Next(std::span<char> buffer) override {
    if (waited_ % 3 != 2) {
      ++waited_;
      later_();
      return {0, Rest::kLater};
    }
    const size_t n = std::min(buffer.size(), left_);
    std::fill_n(buffer.begin(), n, static_cast<char>('a' + pieces_ % 26));
    left_ -= n;
    if (left_ > 0) return {n, Rest::kMore};
    left_ = kPiece;
    ++waited_;
    if (breaks_ && pieces_ == kPieces / 2) return {n, Rest::kBroken};
    return {n, ++pieces_ == kPieces ? Rest::kNone : Rest::kMore};
  }

  static std::string Whole() {
    std::string whole;
    for (int i = 0; i < kPieces; ++i) whole.append(kPiece, static_cast<char>('a' + i % 26));
    return whole;
  }

 private:
  const bool breaks_;
  const std::function<void()> later_, gone_;
  int pieces_ = 0, waited_ = 0;
  size_t left_ = kPiece;
};

class HttpConnectionTest : public ::testing::Test {
 protected:
  HttpConnectionTest() {
    net::TlsOptions tls;
    tls.cert_dir = dir_.path();
    credentials_ = *net::Credentials::Load(tls, watcher_, clock_, metrics_);
    net::ServerOptions options;
    options.io_threads = 2;
    options.connection.tick = std::chrono::milliseconds(10);
    options.connection.answer_to_plaintext = kAnswerToPlaintext;
    const auto handle = [this](const http::Request& request,
                               std::unique_ptr<http::Exchange> exchange) {
      Handle(request, std::move(exchange));
    };
    server_ = std::make_unique<net::Server>(
        options, *credentials_,
        SpeakHttp(session_options_, {kRoom, kConnections}, handle, clock_, metrics_), clock_,
        obs::NullLogger(), metrics_);
    EXPECT_TRUE(server_->Start({{"127.0.0.1", 0}}).ok());
    port_ = server_->ports()[0];
  }
  ~HttpConnectionTest() override { server_.reset(); }

  static http::Response Text(std::string text) {
    http::Response response;
    response.headers.Add("audit-id", "7");
    response.body = std::make_shared<const std::string>(std::move(text));
    return response;
  }

  void Handle(const http::Request& request, std::unique_ptr<http::Exchange> exchange) {
    if (request.target == "/now") {
      exchange->Respond(Text("now " + request.peer->address.substr(0, 10)));
    } else if (request.target == "/later") {
      std::shared_ptr<http::Exchange> shared = std::move(exchange);
      EXPECT_NE(workers_.TrySubmit([shared] { shared->Respond(Text("later")); }, {.user = "u"}),
                0u);
    } else if (request.target == "/large") {
      http::Response response;
      response.body = std::make_shared<const std::string>(kLarge, 'x');
      const bool admitted =
          exchange->Admit(response, request.peer->address, base::Shares::Claim::kFair);
      exchange->Respond(admitted ? std::move(response) : Text("no room"));
    } else if (request.target.starts_with("/as-")) {
      const bool has = exchange->Occupy(request.target.substr(4), base::Shares::Claim::kFair);
      exchange->Respond(Text(has ? "a place" : "no place"));
    } else if (request.target == "/posted") {
      http::Exchange& on = *exchange;
      std::shared_ptr<http::Exchange> shared = std::move(exchange);
      on.Post([shared] { shared->Respond(Text("posted")); });
    } else if (request.target == "/flow" || request.target == "/broken") {
      http::Response response;
      const std::shared_ptr<http::Exchange> shared = std::move(exchange);
      const bool breaks = request.target == "/broken";
      response.flow = std::make_unique<Countdown>(
          breaks, [this, shared] { ResumeSoon(shared); }, [this] { CountGone(); });
      shared->Respond(std::move(response));
    } else if (request.target == "/keep" || request.target == "/watched") {
      if (request.target == "/watched") exchange->OnGone([this] { CountGone(); });
      absl::MutexLock lock(&mu_);
      kept_.push_back(std::move(exchange));
    }
    // Any other is dropped unanswered.
  }
  void ResumeSoon(const std::shared_ptr<http::Exchange>& exchange) {
    EXPECT_NE(workers_.TrySubmit([exchange] { exchange->Resume(); }, {.user = "u"}), 0u);
  }
  void WaitForKept(size_t count) {
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return kept_.size() >= count; };
    absl::MutexLock lock(&mu_);
    ASSERT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(10)));
  }
  void CountGone() {
    absl::MutexLock lock(&mu_);
    ++gone_;
  }
  void WaitForGone(int count) {
    WaitForGoneAtLeast(count);
    absl::MutexLock lock(&mu_);
    EXPECT_EQ(gone_, count);
  }
  void WaitForGoneAtLeast(int count) {
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return gone_ >= count; };
    absl::MutexLock lock(&mu_);
    ASSERT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(10)));
  }
  std::vector<std::unique_ptr<http::Exchange>> TakeKept() {
    absl::MutexLock lock(&mu_);
    return std::exchange(kept_, {});
  }

  static std::string Get(const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
  }
  // A request over HTTP/2, with the preface if it is the first.
  static std::string Get2(const std::string& path, uint8_t stream = 1) {
    const std::string greeting = std::string(kPreface) + Frame(kSettings, 0, 0, "");
    return (stream == 1 ? greeting : "") +
           Frame(kHeaders, kEndHeaders | kEndStream, stream,
                 Literal(":method", "GET") + Literal(":scheme", "https") + Literal(":path", path) +
                     Literal(":authority", "x"));
  }

  // WINDOW_UPDATE: all that it wants.
  static std::string Window(uint8_t stream) {
    return Frame(kWindowUpdate, 0, stream, std::string("\x3f\0\0\0", 4));
  }
  // The DATA of stream 1, until it ends or is reset.
  static std::string ReadData(TlsClient& client) {
    std::string data;
    for (;;) {
      const std::string head = client.Read(9);
      if (head.size() < 9) return data;
      size_t size = 0;
      for (int i = 0; i < 3; ++i) size = size << 8 | static_cast<uint8_t>(head[i]);
      const std::string payload = client.Read(size);
      if (head[8] != 1) continue;
      if (head[3] == kData) data += payload;
      if (head[3] == kReset || (head[3] == kData && (head[4] & kEndStream) != 0)) return data;
    }
  }

  double Metric(const std::string& name) { return MetricOf(metrics_, name); }

  // Two large answers may be unread.
  static constexpr size_t kLarge = 4'000'000, kRoom = 10'000'000;
  static constexpr size_t kConnections = 4;

  const TempDir dir_;
  base::SystemClock clock_;
  obs::Metrics metrics_;
  files::FileWatcher watcher_{
      {.poll_interval = std::chrono::milliseconds(0)}, obs::NullLogger(), metrics_};
  http::SessionOptions session_options_;
  absl::Mutex mu_;
  std::vector<std::unique_ptr<http::Exchange>> kept_ ABSL_GUARDED_BY(mu_);
  int gone_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<net::Credentials> credentials_;
  std::unique_ptr<net::Server> server_;
  net::WorkerPool workers_{{.threads = 2}, "test", metrics_};
  uint16_t port_ = 0;
};

TEST_F(HttpConnectionTest, AnswersAtOnceFromAWorkerAndFromATask) {
  TlsClient client(port_);
  client.Write(Get("/now") + Get("/later") + Get("/posted"));
  EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"),
              StartsWith("HTTP/1.1 200 OK\r\nAudit-Id: 7\r\nDate: "));
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.Read(5), "later");
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.Read(6), "posted");
}

TEST_F(HttpConnectionTest, SpeaksHttp2WhereItWasAgreed) {
  TlsClient client(port_, {.alpn = "\x02h2"});
  client.Write(Get2("/now"));
  EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"), HasSubstr("\x04\0\0\0\0\0"));
  for (uint8_t stream = 3; stream < 99; stream = static_cast<uint8_t>(stream + 4)) {
    client.Write(Get2("/later", stream) + Get2("/posted", static_cast<uint8_t>(stream + 2)));
    // In either order.
    std::string both;
    const auto has = [&](const char* text) { return both.find(text) != std::string::npos; };
    while (!has("later") || !has("posted")) {
      const std::string next = client.Read(1);
      ASSERT_FALSE(next.empty()) << both;
      both += next;
    }
  }
}

TEST_F(HttpConnectionTest, AConnectionIsWhosFirstAskedOverItAndOneUserLeavesSomeForOthers) {
  const auto ask = [](testing_support::TlsClient& client, const std::string& user) {
    client.Write(Get("/as-" + user));
    return client.ReadUntil(" place").ends_with("a place");
  };
  std::optional<testing_support::TlsClient> first(std::in_place, port_);
  testing_support::TlsClient second(port_), third(port_), fourth(port_);
  EXPECT_TRUE(ask(*first, "a"));
  EXPECT_TRUE(ask(second, "a"));
  EXPECT_TRUE(ask(third, "a"));
  EXPECT_TRUE(ask(third, "a")) << "the same connection";
  EXPECT_TRUE(ask(third, "b")) << "it is a's";
  EXPECT_FALSE(ask(fourth, "a"));
  EXPECT_TRUE(ask(fourth, "b"));
  EXPECT_TRUE(ask(fourth, "a")) << "it is b's";
  first.reset();
  testing_support::TlsClient fifth(port_);
  while (!ask(fifth, "a")) std::this_thread::yield();
}

TEST_F(HttpConnectionTest, DroppingAnExchangeEndsTheRequest) {
  TlsClient client(port_);
  client.Write(Get("/dropped"));
  EXPECT_TRUE(client.ReadEnd());

  TlsClient client2(port_, {.alpn = "\x02h2"});
  client2.Write(Get2("/dropped"));
  // RST_STREAM, INTERNAL_ERROR.
  const std::string reset("\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02", 13);
  EXPECT_THAT(client2.ReadUntil(reset), EndsWith(reset));
  client2.Write(Get2("/now", 3));
  EXPECT_THAT(client2.ReadUntil("now 127.0.0.1:"), EndsWith("now 127.0.0.1:"));
}

TEST_F(HttpConnectionTest, ABodyFlowsAsItIsMade) {
  const std::string whole = Countdown::Whole();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port_, {.version = version});
    client.Write(Get("/flow") + Get("/now"));
    EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
    std::string body;
    while (const size_t size = std::stoul(client.ReadUntil("\r\n"), nullptr, 16))
      body += client.Read(size + 2).substr(0, size);
    EXPECT_EQ(body, whole);
    EXPECT_EQ(client.Read(2), "\r\n");
    EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"), StartsWith("HTTP/1.1 200 OK\r\n"));

    TlsClient client2(port_, {.alpn = "\x02h2", .version = version});
    client2.Write(Get2("/flow") + Window(0) + Window(1));
    EXPECT_EQ(ReadData(client2), whole);
  }
  WaitForGone(4);
}

TEST_F(HttpConnectionTest, ABodyThatBreaksIsNotTakenForTheWhole) {
  TlsClient client(port_);
  client.Write(Get("/broken") + Get("/now"));
  const std::string all = client.Read(4'000'000);
  EXPECT_GT(all.size(), Countdown::kPiece * Countdown::kPieces / 2);
  EXPECT_THAT(all, ::testing::Not(EndsWith("\r\n0\r\n\r\n")));
  TlsClient client2(port_, {.alpn = "\x02h2"});
  client2.Write(Get2("/broken") + Window(0) + Window(1));
  EXPECT_THAT(ReadData(client2), ::testing::SizeIs(::testing::Gt(Countdown::kPiece)));
  WaitForGone(2);
}

// The window of a stream that nobody opens holds that stream up, and its client's leaving ends it.
TEST_F(HttpConnectionTest, AReaderThatTakesNothingHoldsUpItsOwnBodyAlone) {
  {
    TlsClient client(port_, {.alpn = "\x02h2"});
    client.Write(Get2("/flow") + Window(0) + Get2("/now", 3) + Get2("/flow", 5) + Window(5));
    std::string seen;
    for (ptrdiff_t last = 0; last < 100'000;) {
      const std::string next = client.Read(1000);
      ASSERT_FALSE(next.empty());
      last += std::count(next.begin(), next.end(), 'z');
      seen += next;
    }
    EXPECT_THAT(seen, HasSubstr("now 127.0.0.1:"));
    // RST_STREAM, CANCEL.
    client.Write(std::string("\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08", 13));
    WaitForGoneAtLeast(1);
  }
  WaitForGone(2);
}

TEST_F(HttpConnectionTest, AnExchangeOutlivesItsClientAndTheServer) {
  {
    TlsClient client(port_);
    client.Write(Get("/keep"));
    WaitForKept(1);
  }
  TakeKept()[0]->Respond(Text("nobody is there"));

  TlsClient client(port_, {.alpn = "\x02h2"});
  client.Write(Get2("/keep") + Get2("/keep", 3) + Get2("/keep", 5));
  WaitForKept(3);
  server_->Stop();
  auto kept = TakeKept();
  kept[0]->Respond(Text("nobody is there"));
  kept[1]->Post([] { ADD_FAILURE(); });
}

TEST_F(HttpConnectionTest, TellsWhoeverWorksForAStreamThatIsReset) {
  TlsClient client(port_, {.alpn = "\x02h2"});
  client.Write(Get2("/watched") + Get2("/watched", 3));
  WaitForKept(2);
  // RST_STREAM, CANCEL.
  client.Write(std::string("\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08", 13));
  WaitForGone(1);
}

// What is read before is gone from the socket: it ends in order, not by a reset.
TEST_F(HttpConnectionTest, TellsWhoeverWorksForAClientThatHasClosed) {
  int gone = 0;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const std::string alpn : {"\x08http/1.1", "\x02h2"}) {
      for (const bool says_so : {true, false}) {
        {
          TlsClient client(port_, {.alpn = alpn, .version = version});
          const bool http2 = alpn == "\x02h2";
          client.Write(http2 ? Get2("/now") : Get("/now"));
          client.ReadUntil("now 127.0.0.1:");
          // Of these HTTP/1.1 takes the first sixteen, and reads no further.
          for (int i = 0; i < 20; ++i)
            client.Write(http2 ? Get2("/watched", static_cast<uint8_t>(3 + 2 * i))
                               : Get("/watched"));
          gone += http2 ? 20 : 16;
          WaitForKept(static_cast<size_t>(gone));
          if (says_so) SSL_shutdown(client.ssl());
        }
        WaitForGone(gone);
      }
    }
  }
}

TEST_F(HttpConnectionTest, AClientThatHasClosedItsSideIsStillThere) {
  TlsClient client(port_, {.version = TLS1_3_VERSION});
  client.Write(Get("/now"));
  client.ReadUntil("now 127.0.0.1:");
  client.Write(Get("/watched"));
  WaitForKept(1);
  SSL_shutdown(client.ssl());
  shutdown(client.fd(), SHUT_WR);
  // Until the server has looked whether it is: its record comes before the answer.
  char record;
  ASSERT_EQ(recv(client.fd(), &record, 1, MSG_PEEK), 1);
  TakeKept()[0]->Respond(Text("still"));
  EXPECT_THAT(client.ReadUntil("still"), EndsWith("still"));
  WaitForGone(0);
}

TEST_F(HttpConnectionTest, TellsWhenTheServerStops) {
  TlsClient client(port_), client2(port_, {.alpn = "\x02h2"});
  client.Write(Get("/watched"));
  client2.Write(Get2("/watched"));
  WaitForKept(2);
  server_->Stop();
  WaitForGone(2);
  // Nobody is told of an exchange twice, and who asks late is told at once.
  TakeKept()[0]->OnGone([this] { CountGone(); });
  WaitForGone(3);
}

TEST_F(HttpConnectionTest, AnswersAtMostOnce) {
  TlsClient client(port_);
  client.Write(Get("/keep"));
  WaitForKept(1);
  const auto kept = TakeKept();
  kept[0]->Respond(Text("first"));
  kept[0]->Respond(Text("second"));
  client.Write(Get("/now"));
  EXPECT_THAT(client.ReadUntil("now"), ::testing::Not(HasSubstr("second")));
}

TEST_F(HttpConnectionTest, DrainsAfterTheAnswersInProgress) {
  TlsClient client(port_, {.alpn = "\x02h2"}), old(port_);
  client.Write(Get2("/keep"));
  old.Write(Get("/keep"));
  WaitForKept(2);
  EXPECT_EQ(server_->Drain(std::chrono::milliseconds(10)), 2u);
  for (const auto& exchange : TakeKept()) exchange->Respond(Text("done"));
  EXPECT_THAT(client.ReadUntil("done"), EndsWith("done"));
  EXPECT_THAT(old.ReadUntil("done"), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(old.ReadEnd());
}

TEST_F(HttpConnectionTest, BoundsWhatClientsDoNotReadAndGivesUpTheSlowest) {
  const std::string unread = "strata_http_unread_response_bytes";
  const auto bounded = [&] {
    EXPECT_LE(Metric(unread), static_cast<double>(kRoom));
    return Metric(unread);
  };
  // Nobody opens a window or reads: HTTP/2 and HTTP/1.1.
  TlsClient stuck(port_, {.alpn = "\x02h2"});
  stuck.Write(Get2("/large"));
  TlsClient deaf(port_, {.receive_buffer = 8 << 10});
  deaf.Write(Get("/large"));
  EXPECT_TRUE(Eventually([&] { return Metric(unread) == 2 * kLarge; }));

  // Others are refused until the slowest have had time to show it, and then served.
  int refused = 0;
  const auto until = In(std::chrono::seconds(20));
  for (bool served = false; !served && std::chrono::steady_clock::now() < until;) {
    TlsClient client(port_);
    client.Write(Get("/large"));
    client.ReadUntil("Content-Length: ");
    const std::string length = client.ReadUntil("\r\n");
    client.Read(2);
    served = length == std::to_string(kLarge) + "\r\n";
    if (served) {
      EXPECT_EQ(client.Read(kLarge).size(), kLarge);
    } else {
      ++refused;
      EXPECT_EQ(client.Read(7), "no room");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    bounded();
  }
  EXPECT_GE(refused, 1);
  EXPECT_LT(std::chrono::steady_clock::now(), until);
  EXPECT_GE(Metric("strata_http_readers_cut_total"), 1);
  EXPECT_EQ(Metric("strata_http_responses_without_room_total"), refused);
}

TEST_F(HttpConnectionTest, CountsWhyConnectionsEnd) {
  TlsClient client(port_);
  client.Write("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("Host header"), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(client.ReadEnd());
  server_->Stop();
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("strata_http_connection_closes_total{reason=\"malformed\"} 1"));
}

TEST_F(HttpConnectionTest, AnAnswerThatWasReadIsUnreadNoMore) {
  testing_support::TlsClient client(port_);
  client.Write(Get("/large"));
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.Read(kLarge).size(), kLarge);
  EXPECT_EQ(Metric("strata_http_unread_response_bytes"), 0);
  client.Write(Get("/now"));
  EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

}  // namespace
}  // namespace strata::serving
