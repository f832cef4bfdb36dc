#include "lib/transport/http/http2_session.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "lib/transport/http/header_names.h"
#include "lib/transport/http/nghttp2_text.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

// A body above this shares the connection with others, frame by frame; smaller ones go out one
// after the other.
constexpr size_t kInterleavedBody = 64 << 10;

TokenBucket Bucket(uint32_t burst, uint32_t per_second, const Peer& peer, MonotonicTime now) {
  return {peer.proxy ? TokenBucket::kEndless : burst, static_cast<double>(per_second), now};
}

template <size_t N>
std::string_view View(const std::array<char, N>& text, size_t size = N) {
  return {text.data(), size};
}

}  // namespace

Http2Session::Http2Session(const SessionOptions& options, SessionTotals& totals,
                           std::shared_ptr<const Peer> peer, SessionListener& listener,
                           const base::Clock& clock, MonotonicTime now)
    : options_(options),
      totals_(totals),
      peer_(std::move(peer)),
      listener_(listener),
      date_(clock),
      held_(totals.held, LetIn(options, *peer_)),
      idle_frames_(Bucket(options.idle_frame_burst, options.idle_frame_rate, *peer_, now)),
      resets_(Bucket(options.reset_burst, options.reset_rate, *peer_, now)),
      meter_(idle_frames_, resets_, options.max_concurrent_streams),
      now_(now),
      idle_since_(now) {
  session_ = MakeSession();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.max_dropped_body_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(options.max_header_bytes)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(options.max_dropped_body_bytes));
}

Http2Session::~Http2Session() {
  nghttp2_session_del(session_);
}

Http2Session::Stream* Http2Session::Find(int32_t id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.get();
}

Http2Session::Stream* Http2Session::Open(int32_t id) {
  ++requests_in_turn_;
  // Streams that the client has reset count for as long as their handlers run.
  if (streams_.size() >= options_.max_concurrent_streams ||
      held_.bytes() >= options_.max_held_bytes || !held_.Set(held_.bytes() + kStreamBytes)) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return nullptr;
  }
  greeted_ = true;
  if (streams_.empty()) next_check_ = now_ + kCheckInterval;
  auto& stream = streams_[id];
  stream = std::make_unique<Stream>(id);
  stream->since = now_;
  stream->held_bytes = kStreamBytes;
  stream->request.version = Version::kHttp2;
  stream->request.headers.Reserve(kReservedHeaders);
  return stream.get();
}

bool Http2Session::AddHeader(Stream& stream, std::string_view name, std::string_view value) {
  stream.header_bytes += name.size() + value.size() + kHeaderOverhead;
  if (stream.header_bytes > options_.max_header_bytes) return false;
  Request& request = stream.request;
  if (name.starts_with(':')) {
    if (name == ":method") {
      request.method = value;
    } else if (name == ":path") {
      request.target = value;
    } else if (name == ":authority") {
      request.authority = value;
    }
  } else if (name == "host") {
    if (request.authority.empty()) request.authority = value;
  } else if (name != "te" && name != "expect" && name != "content-length") {
    // nghttp2 has checked that the length is one number, and compares it with what comes.
    request.headers.Add(std::string(name), std::string(value));
  }
  return true;
}

void Http2Session::EndHeaders(Stream& stream, bool end_stream) {
  stream.request_ended = end_stream;
  if (!HoldHeaders(stream)) return Reset(stream, NGHTTP2_REFUSED_STREAM);
  const Request& request = stream.request;
  int refusal = 0;
  if (stream.header_bytes > options_.max_header_bytes) {
    refusal = 431;
  } else if (request.method == "CONNECT") {
    refusal = 405;
  } else if (!request.target.starts_with('/') &&
             !(request.target == "*" && request.method == "OPTIONS")) {
    refusal = 400;
  }
  if (refusal != 0) {
    stream.refused = true;
    Response response = PlainError(refusal);
    // The header table is in order and other streams are in progress: only this request is refused.
    response.close_connection = false;
    return Submit(stream, std::move(response));
  }
  Dispatch(stream);
}

void Http2Session::Dispatch(Stream& stream) {
  stream.phase = Phase::kHandler;
  stream.is_head = stream.request.method == "HEAD";
  stream.request.peer = peer_;
  ++in_progress_;
  listener_.OnRequest(static_cast<StreamId>(stream.id), std::move(stream.request));
}

void Http2Session::Respond(StreamId id, Response response, MonotonicTime now) {
  now_ = now;
  Stream* stream = Find(static_cast<int32_t>(id));
  if (stream == nullptr || stream->phase != Phase::kHandler) return;
  --in_progress_;
  stream->gone = nullptr;
  if (stream->closed) return Release(*stream);
  Submit(*stream, std::move(response));
}

void Http2Session::Abandon(StreamId id, MonotonicTime now) {
  now_ = now;
  Stream* stream = Find(static_cast<int32_t>(id));
  if (stream == nullptr) return;
  if (stream->response.flow != nullptr) return Reset(*stream, NGHTTP2_INTERNAL_ERROR);
  if (stream->phase != Phase::kHandler) return;
  --in_progress_;
  stream->gone = nullptr;
  if (stream->closed) return Release(*stream);
  Reset(*stream, NGHTTP2_INTERNAL_ERROR);
}

void Http2Session::Resume(StreamId id, MonotonicTime now) {
  now_ = now;
  Stream* stream = Find(static_cast<int32_t>(id));
  if (stream == nullptr || !std::exchange(stream->waits_for_body, false)) return;
  // What it was given before it has taken.
  StartMeasuring(*stream);
  nghttp2_session_resume_data(session_, stream->id);
}

void Http2Session::OnGone(StreamId id, std::function<void()> gone) {
  Stream* stream = Find(static_cast<int32_t>(id));
  if (stream == nullptr || stream->closed) return gone();
  if (stream->phase == Phase::kHandler) stream->gone = std::move(gone);
}

void Http2Session::TellGone() {
  // Whoever is told may respond, which takes streams away.
  std::vector<std::function<void()>> told;
  for (const auto& [id, stream] : streams_) {
    if (stream->gone) told.push_back(std::exchange(stream->gone, nullptr));
    stream->closed = true;
  }
  for (const auto& gone : told) gone();
}

void Http2Session::Submit(Stream& stream, Response response) {
  stream.phase = Phase::kResponse;
  moved_ = now_;
  StartMeasuring(stream);
  stream.response = std::move(response);
  stream.close_connection = stream.response.close_connection;
  const int status = std::clamp(stream.response.status, 200, 999);
  std::to_chars(stream.status_text.data(), stream.status_text.data() + stream.status_text.size(),
                status);
  std::memcpy(stream.date_text.data(), date_.At(now_).data(), stream.date_text.size());

  fields_.clear();
  fields_.push_back(Field(":status", View(stream.status_text)));
  for (Header& header : stream.response.headers) {
    ReplaceControls(header.value);
    // Each is another: in the table it would only drive out what comes again.
    const uint8_t flags =
        header.name == "audit-id" ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    fields_.push_back(Field(header.name, header.value, flags));
  }
  fields_.push_back(Field("date", View(stream.date_text)));
  const bool takes_body = HasContent(status) && !stream.is_head;
  const bool flows = stream.response.flow != nullptr;
  const size_t size = stream.response.body == nullptr ? 0 : stream.response.body->size();
  if (HasContent(status) && !flows) {
    const char* end =
        std::to_chars(stream.length_text.data(), stream.length_text.data() + 20, size).ptr;
    fields_.push_back(
        Field("content-length",
              View(stream.length_text, static_cast<size_t>(end - stream.length_text.data()))));
  }
  const bool has_body = takes_body && (flows || size > 0);
  if (!has_body) DropBody(stream);
  const nghttp2_data_provider body = BodyOf(stream);
  const int error = nghttp2_submit_response(session_, stream.id, fields_.data(), fields_.size(),
                                            has_body ? &body : nullptr);
  if (error != 0) return Reset(stream, NGHTTP2_INTERNAL_ERROR);
  // It may flow for ever (x/net/http2 responseWriterState.writeChunk says GOAWAY with the head).
  if (flows && stream.close_connection) StartDrain(now_);
  if (has_body && (flows || size > kInterleavedBody)) {
    const nghttp2_extpri interleaved = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    nghttp2_session_change_extpri_stream_priority(session_, stream.id, &interleaved, 0);
  }
}

void Http2Session::Cut(StreamId id, MonotonicTime now) {
  now_ = now;
  Stream* stream = Find(static_cast<int32_t>(id));
  if (stream != nullptr && stream->response.body != nullptr && !stream->closed)
    Reset(*stream, NGHTTP2_CANCEL);
}

void Http2Session::Reset(Stream& stream, uint32_t error) {
  stream.phase = Phase::kResponse;
  stream.request = {};
  Hold(stream.held_bytes, kStreamBytes);
  // The body goes now, for the reset itself may have to wait for the socket.
  if (pending_body_ != nullptr && pending_body_ == stream.response.body) {
    pending_head_.append(std::exchange(pending_body_rest_, {}));
    pending_body_ = nullptr;
  }
  DropBody(stream);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, error);
}

void Http2Session::DropBody(Stream& stream) {
  stream.response.body = nullptr;
  stream.response.flow = nullptr;
  stream.waits_for_body = false;
}

void Http2Session::Closed(int32_t id) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  stream->closed = true;
  if (stream == receiving_) receiving_ = nullptr;
  if (stream->close_connection) StartDrain(now_);
  if (stream->phase != Phase::kHandler) return Release(*stream);
  // Last: it may respond, and with that release the stream.
  if (stream->gone) std::exchange(stream->gone, nullptr)();
}

void Http2Session::Release(Stream& stream) {
  Hold(stream.held_bytes, 0);
  // Whoever hears of its end finds the streams in order.
  const std::unique_ptr<Body> flow = std::move(stream.response.flow);
  streams_.erase(stream.id);
  if (!streams_.empty()) return;
  idle_since_ = now_;
  next_check_ = kNever;
}

void Http2Session::End(uint32_t error, std::string_view reason) {
  ended_ = true;
  if (reason_.empty()) reason_ = reason;
  nghttp2_session_terminate_session(session_, error);
}

void Http2Session::Write(std::string_view bytes) {
  const size_t n = std::min(bytes.size(), out_.size() - filled_);
  std::memcpy(out_.data() + filled_, bytes.data(), n);
  filled_ += n;
  if (n < bytes.size()) pending_head_ = bytes.substr(n);
}

size_t Http2Session::Produce(std::span<char> buffer, MonotonicTime now) {
  now_ = now;
  out_ = buffer;
  filled_ = 0;
  if (!pending_head_.empty()) Write(std::exchange(pending_head_, {}));
  if (pending_head_.empty() && pending_body_ != nullptr) {
    const size_t n = std::min(pending_body_rest_.size(), out_.size() - filled_);
    Write(pending_body_rest_.substr(0, n));
    pending_body_rest_.remove_prefix(n);
    if (pending_body_rest_.empty()) pending_body_ = nullptr;
  }
  while (!pending() && filled_ < out_.size() && !broken_) {
    const uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) broken_ = ended_ = true;
    if (n <= 0) break;
    Write(View(data, static_cast<size_t>(n)));
  }
  out_ = {};
  return filled_;
}

bool Http2Session::finished() const {
  if (broken_) return true;
  return !pending() && nghttp2_session_want_write(session_) == 0 &&
         nghttp2_session_want_read(session_) == 0;
}

std::optional<MonotonicTime> Http2Session::idle_since() const {
  const size_t heads = receiving_ == nullptr ? 0 : 1;
  if (streams_.size() > heads || pending()) return std::nullopt;
  return idle_since_;
}

std::optional<MonotonicTime> Http2Session::stalled_since() const {
  if (pending()) return std::nullopt;
  for (const auto& [id, stream] : streams_) {
    const bool worked_on = stream->phase == Phase::kHandler || stream->waits_for_body;
    if (worked_on) return std::nullopt;
  }
  return std::max(moved_, idle_since_);
}

void Http2Session::StartDrain(MonotonicTime now) {
  if (draining_ || ended_) return;
  draining_ = true;
  // Two steps (RFC 9113 §6.8): a request that is on its way when the client hears of it is still
  // served.
  nghttp2_submit_shutdown_notice(session_);
  confirm_drain_at_ = now + options_.drain_notice;
}

void Http2Session::ConfirmDrain() {
  if (confirm_drain_at_ == kNever) return;
  confirm_drain_at_ = kNever;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

std::unique_ptr<Session> MakeHttp2Session(const SessionOptions& options, SessionTotals& totals,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now) {
  return std::make_unique<Http2Session>(options, totals, std::move(peer), listener, clock, now);
}

}  // namespace strata::http
