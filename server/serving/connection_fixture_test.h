// A server that speaks HTTP over TLS, and answers each path in another way.
#pragma once

#include <absl/synchronization/mutex.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/transport/net/server.h"
#include "lib/transport/net/worker_pool.h"
#include "server/serving/connection.h"
#include "test/support/http2_bytes.h"
#include "test/support/metric.h"
#include "test/support/temp_dir.h"
#include "test/support/tls_client.h"

namespace strata::serving {

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

}  // namespace strata::serving
