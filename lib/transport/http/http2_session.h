// HTTP/2 over nghttp2. Private to this folder: sessions are made by session.h's functions.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <nghttp2/nghttp2.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/transport/http/frame_meter.h"
#include "lib/transport/http/kept_input.h"
#include "lib/transport/http/response_head.h"
#include "lib/transport/http/session.h"
#include "lib/transport/http/token_bucket.h"

namespace strata::http {

class Http2Session final : public Session {
 public:
  Http2Session(const SessionOptions& options, SessionTotals& totals,
               std::shared_ptr<const Peer> peer, SessionListener& listener,
               const base::Clock& clock, base::MonotonicTime now);
  ~Http2Session() override;

  void Receive(std::string_view bytes, base::MonotonicTime now) override;
  void ReceiveEnd(base::MonotonicTime now) override;
  void Respond(StreamId stream, Response response, base::MonotonicTime now) override;
  void Abandon(StreamId stream, base::MonotonicTime now) override;
  void Resume(StreamId stream, base::MonotonicTime now) override;
  void OnGone(StreamId stream, std::function<void()> gone) override;
  void TellGone() override;
  size_t Produce(std::span<char> buffer, base::MonotonicTime now) override;
  bool wants_input() const override { return !ended_ && input_.empty() && !WaitsForReader(); }
  bool wants_turn() const override { return !ended_ && !input_.empty() && !WaitsForReader(); }
  bool finished() const override;
  void StartDrain(base::MonotonicTime now) override;
  base::MonotonicTime next_deadline() const override;
  void OnDeadline(base::MonotonicTime now) override;
  std::optional<SlowestAnswer> Slowest(base::MonotonicTime now) const override;
  void Cut(StreamId stream, base::MonotonicTime now) override;
  std::optional<base::MonotonicTime> idle_since() const override;
  std::optional<base::MonotonicTime> stalled_since() const override;
  size_t in_progress() const override { return in_progress_; }
  std::string_view close_reason() const override { return reason_; }

 private:
  // How often the streams' deadlines are looked at.
  static constexpr std::chrono::milliseconds kCheckInterval{1'000};
  // Until it grows, a request's table.
  static constexpr size_t kReservedHeaders = 12;
  // What a stream takes beside its headers' text, until its answer has been read: ours and
  // nghttp2's record of it (0.6 and 0.3 KB), that table (0.75), and what waits of its answer's
  // head.
  static constexpr size_t kStreamBytes = 2 << 10;

  enum class Phase { kHeaders, kHandler, kResponse, kAnswered };

  // From its HEADERS until nghttp2 has closed it and its handler is done, whichever is later.
  struct Stream {
    explicit Stream(int32_t stream_id) : id(stream_id) {}
    const int32_t id;
    Phase phase = Phase::kHeaders;
    base::MonotonicTime since;   // of the phase; of the time in which progress is measured
    bool closed = false;         // nghttp2 knows it no more
    bool request_ended = false;  // END_STREAM was received
    bool is_head = false;
    bool close_connection = false;
    bool refused = false;  // answered here, without the listener
    size_t header_bytes = 0;
    size_t held_bytes = 0;  // counted in held_
    Request request;
    std::function<void()> gone;  // in kHandler, until it is closed
    Response response;
    bool waits_for_body = false;  // that flows: nghttp2 has deferred the stream
    size_t body_sent = 0;
    size_t body_mark = 0;          // body_sent, and
    uint64_t connection_mark = 0;  // body_bytes_sent_, when that time began
    std::array<char, 3> status_text;
    std::array<char, 29> date_text;
    std::array<char, 20> length_text;
  };

  // What nghttp2 calls (http2_callbacks.cc).
  struct Callbacks;
  nghttp2_session* MakeSession();
  static nghttp2_data_provider BodyOf(Stream& stream);
  void CountSent(Stream& stream, size_t bytes);
  bool TooMuchUnread() const;
  // A proxy isn't ended for that: nothing is taken in until some of it is out.
  bool WaitsForReader() const { return peer_->proxy && TooMuchUnread(); }

  // Of what was received (http2_input.cc).
  void Take(std::string_view slice);
  size_t HeldOfBlock() const;
  bool HoldInput();
  bool HoldHeaders(Stream& stream);
  bool Hold(size_t& held, size_t bytes);

  Stream* Find(int32_t id);
  Stream* Open(int32_t id);
  bool AddHeader(Stream& stream, std::string_view name, std::string_view value);
  void EndHeaders(Stream& stream, bool end_stream);
  void StartMeasuring(Stream& stream);
  bool TookEnough(const Stream& stream) const;
  base::MonotonicTime block_deadline() const;
  void Dispatch(Stream& stream);
  void Submit(Stream& stream, Response response);
  void Reset(Stream& stream, uint32_t error);
  static void DropBody(Stream& stream);
  void Closed(int32_t id);
  void Release(Stream& stream);
  void ConfirmDrain();
  // Says GOAWAY with `error` and reads no more.
  void End(uint32_t error, std::string_view reason);
  void Write(std::string_view bytes);
  bool pending() const { return !pending_head_.empty() || pending_body_ != nullptr; }

  const SessionOptions& options_;
  SessionTotals& totals_;
  const std::shared_ptr<const Peer> peer_;
  SessionListener& listener_;
  DateHeader date_;
  nghttp2_session* session_ = nullptr;

  KeptInput input_;              // for turns to come
  size_t requests_in_turn_ = 0;  // that have begun
  size_t held_input_ = 0;        // counted in held_, of input_ and the block that is being read

  std::vector<nghttp2_nv> fields_;  // of the response that is being submitted
  absl::flat_hash_map<int32_t, std::unique_ptr<Stream>> streams_;
  Stream* receiving_ = nullptr;  // whose headers are being decoded; null for those that are ignored
  size_t decoded_header_bytes_ = 0;  // of the header block that is being decoded
  size_t in_progress_ = 0;
  uint64_t body_bytes_sent_ = 0;
  ByteShare held_;

  TokenBucket idle_frames_;
  TokenBucket resets_;
  FrameMeter meter_;

  base::MonotonicTime now_;  // of the call that is running
  base::MonotonicTime idle_since_;
  base::MonotonicTime moved_;                // when an answer, or some of a body, came to be sent
  base::MonotonicTime next_check_ = kNever;  // of the streams' deadlines
  base::MonotonicTime confirm_drain_at_ = kNever;
  bool greeted_ = false;  // a request has come
  bool draining_ = false;
  bool ended_ = false;
  bool broken_ = false;  // nothing more can be sent
  std::string_view reason_;

  // The buffer of the running Produce, and what didn't fit into it: a frame's rest, then a body's.
  std::span<char> out_;
  size_t filled_ = 0;
  std::string pending_head_;
  std::shared_ptr<const std::string> pending_body_;
  std::string_view pending_body_rest_;
};

}  // namespace strata::http
