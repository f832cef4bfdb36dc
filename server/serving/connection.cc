#include "server/serving/connection.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/serving/unread_answers.h"

namespace strata::serving {
namespace {

using base::MonotonicTime;
using http::StreamId;

// What all connections share.
struct Shared {
  http::SessionOptions options;
  const std::shared_ptr<http::SessionTotals> totals;
  http::Handler handler;
  const base::Clock& clock;
  const std::shared_ptr<UnreadAnswers> unread;
  const std::shared_ptr<base::Shares> connections;
  std::vector<std::pair<std::string_view, obs::Counter>> closes;  // by close reason
};

class HttpProtocol;

// How exchanges find their connection. `protocol` is touched on the connection's thread alone.
struct Link : SlowReaders::Seat {
  HttpProtocol* protocol = nullptr;  // null once the connection is gone
  std::shared_ptr<UnreadAnswers> unread;
};

class HttpProtocol final : public net::Protocol, private http::SessionListener, private Reader {
 public:
  HttpProtocol(const Shared& shared, net::ConnectionInfo info, net::Channel& channel,
               MonotonicTime now)
      : shared_(shared),
        channel_(channel),
        link_(std::make_shared<Link>(Link{{channel.executor(), this}, this, shared.unread})),
        is_proxy_(info.rank == net::Rank::kProxy) {
    const bool http2 = info.alpn == "h2";
    auto peer = std::make_shared<const http::Peer>(
        http::Peer{std::move(info.peer_address), std::move(info.certificate_chain), is_proxy_});
    const auto make = http2 ? http::MakeHttp2Session : http::MakeHttp1Session;
    session_ = make(shared_.options, *shared_.totals, std::move(peer), *this, shared_.clock, now);
    shared_.unread->readers().Join(link_);
  }

  ~HttpProtocol() override {
    shared_.unread->readers().Leave(link_);
    link_->protocol = nullptr;
    link_->reader = nullptr;
    session_->TellGone();
    const std::string_view reason = session_->close_reason();
    for (const auto& [name, counter] : shared_.closes) {
      if (name == reason) counter.Increment();
    }
  }

  void Receive(std::string_view bytes, MonotonicTime now) override {
    now_ = now;
    session_->Receive(bytes, now);
  }
  void ReceiveEnd(MonotonicTime now) override { session_->ReceiveEnd(now); }
  size_t Produce(std::span<char> buffer, MonotonicTime now) override {
    now_ = now;
    return session_->Produce(buffer, now);
  }
  bool wants_input() const override { return session_->wants_input(); }
  bool wants_turn() const override { return session_->wants_turn(); }
  bool finished() const override { return session_->finished(); }
  void StartDrain(MonotonicTime now) override { session_->StartDrain(now); }
  MonotonicTime next_deadline() const override { return session_->next_deadline(); }
  void OnDeadline(MonotonicTime now) override {
    now_ = now;
    session_->OnDeadline(now);
  }

  std::optional<MonotonicTime> idle_since() const override { return session_->idle_since(); }
  std::optional<MonotonicTime> stalled_since() const override { return session_->stalled_since(); }

  // On the connection's thread: no response abandons the request.
  void Answer(StreamId stream, std::optional<http::Response> response) {
    // Inside of Receive the time of its turn is good enough, and a clock read less for each
    // request.
    if (!in_request_) now_ = shared_.clock.Now();
    if (response) {
      session_->Respond(stream, *std::move(response), now_);
    } else {
      session_->Abandon(stream, now_);
    }
    channel_.FlushSoon();
  }

  void Resume(StreamId stream) {
    session_->Resume(stream, shared_.clock.Now());
    channel_.FlushSoon();
  }

  bool Occupy(std::string_view user, base::Shares::Claim claim) {
    if (!place_ && !is_proxy_) place_ = shared_.connections->Take(user, claim);
    return place_ || is_proxy_;
  }

  void OnGone(StreamId stream, std::function<void()> gone) {
    session_->OnGone(stream, std::move(gone));
  }

 private:
  void OnRequest(StreamId stream, http::Request request) override;

  std::optional<http::SlowestAnswer> Slowest() const override {
    return session_->Slowest(shared_.clock.Now());
  }
  void Cut(StreamId stream) override {
    session_->Cut(stream, shared_.clock.Now());
    channel_.FlushSoon();
  }

  const Shared& shared_;
  net::Channel& channel_;
  const std::shared_ptr<Link> link_;
  std::unique_ptr<http::Session> session_;
  const bool is_proxy_;
  std::optional<base::Shares::Share> place_;  // among all connections
  MonotonicTime now_;
  bool in_request_ = false;
};

class HttpExchange final : public http::Exchange {
 public:
  HttpExchange(std::shared_ptr<Link> link, StreamId stream)
      : link_(std::move(link)), stream_(stream) {}
  ~HttpExchange() override {
    if (!answered_) Finish(std::nullopt);
  }

  void Respond(http::Response response) override {
    if (std::exchange(answered_, true)) return;
    Finish(std::move(response));
  }

  bool Admit(http::Response& response, std::string_view user, base::Shares::Claim claim) override {
    if (response.body == nullptr) return true;
    auto counted = link_->unread->Admit(response.body, user, claim);
    if (counted == nullptr) return false;
    response.body = std::move(counted);
    return true;
  }

  bool Occupy(std::string_view user, base::Shares::Claim claim) override {
    return link_->protocol == nullptr || link_->protocol->Occupy(user, claim);
  }

  void Post(std::function<void()> task) override { link_->executor->Post(std::move(task)); }

  void Resume() override {
    OnConnection([stream = stream_](HttpProtocol& protocol) { protocol.Resume(stream); });
  }

  void Abandon() override { Finish(std::nullopt); }

  void OnGone(std::function<void()> gone) override {
    if (answered_) return;
    if (link_->protocol == nullptr) return gone();
    link_->protocol->OnGone(stream_, std::move(gone));
  }

 private:
  void Finish(std::optional<http::Response> response) {
    OnConnection([stream = stream_, answer = std::move(response)](HttpProtocol& protocol) mutable {
      protocol.Answer(stream, std::move(answer));
    });
  }

  // Does it on the connection's thread: now, if this is it. Nothing if the connection is gone.
  template <typename Do>
  void OnConnection(Do what) {
    if (link_->executor->InThread()) {
      if (link_->protocol != nullptr) what(*link_->protocol);
      return;
    }
    link_->executor->Post([link = link_, what = std::move(what)]() mutable {
      if (link->protocol != nullptr) what(*link->protocol);
    });
  }

  const std::shared_ptr<Link> link_;
  const StreamId stream_;
  bool answered_ = false;
};

void HttpProtocol::OnRequest(StreamId stream, http::Request request) {
  in_request_ = true;
  shared_.handler(std::move(request), std::make_unique<HttpExchange>(link_, stream));
  in_request_ = false;
}

}  // namespace

net::ProtocolFactory SpeakHttp(const http::SessionOptions& options, const SharedLimits& limits,
                               http::Handler handler, const base::Clock& clock,
                               obs::Metrics& metrics) {
  const auto totals = std::make_shared<http::SessionTotals>(options);
  metrics.AddGaugeFunction("strata_http_held_request_bytes",
                           "Bytes of requests that aren't answered yet, whole or in part.", {},
                           [totals] { return static_cast<double>(totals->held.used()); });
  metrics.AddCounterFunction(
      "strata_http_requests_without_room_total",
      "Requests refused because all connections together hold too many bytes of requests.", {},
      [totals] { return static_cast<double>(totals->held.refused()); });
  metrics.AddCounterFunction(
      "strata_http_slow_readers_total",
      "HTTP/2 streams reset because the client took less than --min-read-rate.", {},
      [totals] { return static_cast<double>(totals->slow_readers.load()); });
  const auto shared = std::make_shared<Shared>(
      Shared{options,
             totals,
             std::move(handler),
             clock,
             std::make_shared<UnreadAnswers>(limits.unread_bytes, clock, metrics),
             std::make_shared<base::Shares>(limits.connections),
             {}});
  for (const std::string_view reason : http::kCloseReasons) {
    shared->closes.emplace_back(
        reason,
        metrics.AddCounter("strata_http_connection_closes_total",
                           "Connections that ended other than in the ordinary way, by reason.",
                           {{"reason", std::string(reason)}}));
  }
  return [shared](net::ConnectionInfo info, net::Channel& channel, MonotonicTime now) {
    return std::make_unique<HttpProtocol>(*shared, std::move(info), channel, now);
  };
}

}  // namespace strata::serving
