// A server of lines behind TLS, and short words for what tests do with it.
#pragma once

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/transport/net/self_signed.h"
#include "lib/transport/net/server.h"
#include "test/support/metric.h"
#include "test/support/temp_dir.h"
#include "test/support/tls_client.h"
#include "test/support/waiting.h"

namespace strata::net {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_support::Eventually;
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
              (info_.rank == Rank::kStranger ? "\n" : " privileged\n");
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
  double Metric(const std::string& name) { return testing_support::MetricOf(metrics_, name); }
  void WaitForMetric(const std::string& name, double value) {
    Eventually([&] { return Metric(name) == value; });
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

}  // namespace strata::net
