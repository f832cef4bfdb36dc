// HTTP without I/O: bytes in, requests out; responses in, bytes out.
//
// A session is one connection's end of HTTP/1.1 or HTTP/2. It knows neither sockets nor threads nor
// timers: its owner hands it the bytes that arrived and the time, asks it for the bytes to send,
// and wakes it at its deadline. All methods, and the listener's, belong to one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/transport/http/byte_budget.h"
#include "lib/transport/http/message.h"

namespace strata::http {

// What a peer may cost us. Each limit is per connection unless it says otherwise.
struct SessionOptions {
  // Requests that are being received or answered. HTTP/2 also counts those that the client has
  // reset while their handler still runs; more are refused (SETTINGS_MAX_CONCURRENT_STREAMS,
  // REFUSED_STREAM).
  uint32_t max_concurrent_streams = 1000;
  // HTTP/1.1: requests that are answered at the same time. Reading stops at the limit.
  uint32_t max_pipelined = 16;

  // Of one request: names, values and 32 bytes for each (RFC 9113 §6.5.2). Over it the answer is
  // 431.
  size_t max_header_bytes = 64 << 10;
  // HTTP/1.1: of one request's body, which nobody reads. So much of it is read and dropped for the
  // sake of the next request; after more the connection closes (Go's maxPostHandlerReadBytes).
  // HTTP/2: so much may come before the answer (the window of a stream, which isn't opened again).
  uint32_t max_dropped_body_bytes = 256 << 10;
  // All requests that aren't answered yet: their headers, and in HTTP/2 what a stream takes until
  // its answer is read. Over it new HTTP/2 requests are refused.
  size_t max_held_bytes = 16 << 20;
  // The same of all connections together, and what hasn't come whole: heads, trailers, lines of
  // chunked bodies. What doesn't fit is refused, in HTTP/2 by REFUSED_STREAM, in HTTP/1.1 by 429;
  // where HTTP/2 has to read on all the same, the connection ends.
  base::Limit max_held_bytes_in_all = 128 << 20;
  // So many of each connection are let in all the same, and all of a proxy's: a probe's, or a
  // client's that reads discovery.
  size_t held_bytes_let_in = 4 << 10;

  // Without any request.
  std::chrono::milliseconds idle_timeout{90'000};
  // From the first byte of a request to the end of its headers.
  std::chrono::milliseconds header_timeout{32'000};
  // HTTP/1.1: from there to the end of its body.
  std::chrono::milliseconds body_timeout{60'000};
  // HTTP/2: in each such time a client has to take so many bytes a second of a response, or the
  // stream is reset. Where it isn't the stream's own window that holds it up, what the connection
  // takes counts, for then the others' share is what it lacks.
  std::chrono::milliseconds stall_timeout{60'000};
  uint32_t min_read_rate = 500;
  // HTTP/2: between the notice that a connection will go and its last stream id, if the client is
  // slow to confirm.
  std::chrono::milliseconds drain_notice{1'000};

  // HTTP/2 frames that do no work (empty DATA, PRIORITY, PING, SETTINGS, WINDOW_UPDATE beyond what
  // was sent, unknown types, CONTINUATION, …): a bucket of `burst` that refills at `rate` a second.
  // Empty: GOAWAY, ENHANCE_YOUR_CALM.
  uint32_t idle_frame_burst = 10'000;
  uint32_t idle_frame_rate = 330;
  // The same for streams reset by either side (CVE-2023-44487, CVE-2025-8671). Neither is asked of
  // a proxy: its users leave, and send their bodies as they like, each for himself.
  uint32_t reset_burst = 1'000;
  uint32_t reset_rate = 33;
};

// What all sessions of a server share. Thread-safe.
struct SessionTotals {
  explicit SessionTotals(const SessionOptions& options) : held(options.max_held_bytes_in_all) {}
  ByteBudget held;
  std::atomic<uint64_t> slow_readers = 0;  // streams reset for min_read_rate
};

// How much of what a peer makes us hold is let in where there is no room (ByteShare).
inline size_t LetIn(const SessionOptions& options, const Peer& peer) {
  return peer.proxy ? std::numeric_limits<size_t>::max() : options.held_bytes_let_in;
}

// The stream of HTTP/2; the n-th request of an HTTP/1.1 connection.
using StreamId = uint64_t;

// An answer that is being sent, and how fast its client takes it.
struct SlowestAnswer {
  StreamId stream = 0;
  double bytes_per_second = 0;  // over the last minute at most
  size_t bytes_left = 0;
};

class SessionListener {
 public:
  virtual ~SessionListener() = default;
  // A request, at the end of its headers. Session::Respond or Session::Abandon must follow, at once
  // or later.
  virtual void OnRequest(StreamId stream, Request request) = 0;
};

// Until then nobody can tell how fast an answer is taken.
constexpr std::chrono::seconds kSlowestAge{1};

constexpr base::MonotonicTime kNever = base::MonotonicTime::max();

class Session {
 public:
  virtual ~Session() = default;

  // Bytes from the peer. Calls the listener; Respond may be called from inside it.
  virtual void Receive(std::string_view bytes, base::MonotonicTime now) = 0;
  // The peer won't send more. What it asked for is still answered where the protocol allows.
  virtual void ReceiveEnd(base::MonotonicTime now) = 0;

  // Exactly one of the two, once for each request; harmless if the stream is gone by then.
  virtual void Respond(StreamId stream, Response response, base::MonotonicTime now) = 0;
  // There will be no response, or no more of the body that flows: resets the stream, or closes the
  // connection (HTTP/1.1).
  virtual void Abandon(StreamId stream, base::MonotonicTime now) = 0;

  // The body that flows has more, or is over; harmless if nobody waits for that. Not from inside of
  // its Next.
  virtual void Resume(StreamId stream, base::MonotonicTime now) = 0;

  // Calls `gone` once if the stream ends before Respond or Abandon (Exchange::OnGone): at once if
  // it has ended already.
  virtual void OnGone(StreamId stream, std::function<void()> gone) = 0;
  // The connection is closed: whoever works for it is told. The session is only destroyed then.
  virtual void TellGone() = 0;

  // Writes the next bytes for the peer, as many as there are and fit; 0 if there are none for now.
  // Bodies are copied here and nowhere else, straight from the shared string into the record that
  // TLS encrypts.
  virtual size_t Produce(std::span<char> buffer, base::MonotonicTime now) = 0;
  // Whether Receive would get further. False holds the peer back through TCP.
  virtual bool wants_input() const = 0;
  // What was received is too much for one turn of the thread, or waited for answers to go out:
  // Receive, of nothing, goes on with it.
  virtual bool wants_turn() const = 0;
  // True once nothing will come any more: send what was produced, then close.
  virtual bool finished() const = 0;

  // No new requests; those in progress are answered, then the session finishes.
  virtual void StartDrain(base::MonotonicTime now) = 0;

  // When OnDeadline is due; it may move with every call. Being late is harmless.
  virtual base::MonotonicTime next_deadline() const = 0;
  virtual void OnDeadline(base::MonotonicTime now) = 0;

  // Of the answers that have been on their way for a second the one that is taken slowest.
  virtual std::optional<SlowestAnswer> Slowest(base::MonotonicTime now) const = 0;
  // Gives up an answer that is on its way: resets the stream, or ends the connection (HTTP/1.1).
  virtual void Cut(StreamId stream, base::MonotonicTime now) = 0;

  // Since when there has been no request whose head has come, and nothing to send; nothing while
  // there is.
  virtual std::optional<base::MonotonicTime> idle_since() const = 0;
  // Since when nothing of its answers has been produced, though there was room, and nothing else
  // is done; nothing while a request is answered, or a body that flows has nothing to say.
  virtual std::optional<base::MonotonicTime> stalled_since() const = 0;
  // Requests handed out and not answered.
  virtual size_t in_progress() const = 0;
  // Why the session ended other than in the ordinary way ("idle", "header_timeout", "frame_flood",
  // …); empty if it didn't. One of kCloseReasons.
  virtual std::string_view close_reason() const = 0;
};

inline constexpr std::string_view kCloseReasons[] = {
    "idle",        "header_timeout", "body_timeout", "malformed",  "frame_flood",
    "reset_flood", "header_flood",   "abandoned",    "slow_reader"};

// `options`, `totals`, `listener` and `clock` outlive the session.
std::unique_ptr<Session> MakeHttp1Session(const SessionOptions& options, SessionTotals& totals,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now);
std::unique_ptr<Session> MakeHttp2Session(const SessionOptions& options, SessionTotals& totals,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now);

}  // namespace strata::http
