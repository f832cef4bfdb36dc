#include "lib/transport/http/http2_session.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "lib/transport/http/header_names.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

constexpr std::chrono::milliseconds kCheckInterval{1'000};
// A short body is on its way when its request is answered: it is cheaper to let it come, and to
// tell what is wrong with it, than to reset its stream.
constexpr std::chrono::milliseconds kPatienceWithBody{1'000};
// A header block that decodes to more than this many times the limit isn't a mistake:
// CVE-2016-6581.
constexpr size_t kHeaderBomb = 4;
// A body above this shares the connection with others, frame by frame; smaller ones go out one
// after the other.
constexpr size_t kInterleavedBody = 64 << 10;
// A window update is paid for by so many bytes sent; clients send one for 4 KiB at most, and one
// for the connection.
constexpr double kBytesPerEarnedFrame = 1024;
constexpr uint8_t kDrainPing[8] = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags = 0) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {
      bytes(name), bytes(value), name.size(), value.size(),
      static_cast<uint8_t>(flags | NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)};
}

std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

template <size_t N>
std::string_view View(const std::array<char, N>& text, size_t size = N) {
  return {text.data(), size};
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& Self(void* user) { return *static_cast<Http2Session*>(user); }

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    self.decoded_header_bytes_ = 0;
    // Trailers are accepted and ignored.
    self.receiving_ =
        frame->headers.cat == NGHTTP2_HCAT_REQUEST ? self.Open(frame->hd.stream_id) : nullptr;
    return 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user) {
    Http2Session& self = Self(user);
    self.decoded_header_bytes_ += name_size + value_size + kHeaderOverhead;
    if (self.decoded_header_bytes_ > self.options_.max_header_bytes * kHeaderBomb) {
      self.End(NGHTTP2_ENHANCE_YOUR_CALM, "header_flood");
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (self.receiving_ != nullptr)
      self.AddHeader(*self.receiving_, View(name, name_size), View(value, value_size));
    return 0;
  }

  static int OnInvalidHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t,
                             const uint8_t*, size_t, uint8_t, void*) {
    // nghttp2 would drop the field and go on; RFC 9113 §8.2.1 calls the request malformed.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
          if (Stream* stream = std::exchange(self.receiving_, nullptr))
            self.EndHeaders(*stream, end_stream);
          return 0;
        }
        [[fallthrough]];
      case NGHTTP2_DATA:
        if (!end_stream) return 0;
        if (Stream* stream = self.Find(frame->hd.stream_id)) stream->request_ended = true;
        return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 &&
            std::memcmp(frame->ping.opaque_data, kDrainPing, sizeof kDrainPing) == 0) {
          self.ConfirmDrain();
        }
        return 0;
      default:
        return 0;
    }
  }

  // Nobody reads bodies. What comes of one is dropped: the connection's window is opened again, for
  // it belongs to all streams, and the stream's isn't.
  static int OnData(nghttp2_session* session, uint8_t, int32_t, const uint8_t*, size_t size,
                    void*) {
    return nghttp2_session_consume_connection(session, size) == 0 ? 0
                                                                  : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnClose(nghttp2_session*, int32_t id, uint32_t, void* user) {
    Self(user).Closed(id);
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t*, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void*) {
    const Stream& stream = *static_cast<Stream*>(source->ptr);
    if (stream.response.body == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // reset
    const size_t rest = stream.response.body->size() - stream.body_sent;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (rest <= size) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(std::min(rest, size));
  }

  static int SendBody(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* user) {
    Http2Session& self = Self(user);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const std::string_view part =
        std::string_view(*stream.response.body).substr(stream.body_sent, size);
    stream.body_sent += size;
    self.body_bytes_sent_ += size;
    self.idle_frames_.Earn(1 + static_cast<double>(size) / kBytesPerEarnedFrame);
    constexpr size_t kFrameHead = 9;
    self.Write(View(head, kFrameHead));
    if (self.pending()) {
      self.pending_body_rest_ = part;
    } else {
      const size_t n = std::min(part.size(), self.out_.size() - self.filled_);
      self.Write(part.substr(0, n));
      if (n == part.size()) return 0;
      self.pending_body_rest_ = part.substr(n);
    }
    // The stream may be gone before the rest is sent.
    self.pending_body_ = stream.response.body;
    return NGHTTP2_ERR_PAUSE;
  }

  static int OnSent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    switch (frame->hd.type) {
      case NGHTTP2_RST_STREAM:
        if (!self.resets_.Take(1, self.now_)) self.End(NGHTTP2_ENHANCE_YOUR_CALM, "reset_flood");
        return 0;
      case NGHTTP2_GOAWAY:
        // After the notice and not with it, for nghttp2 lets pings overtake.
        if (self.confirm_drain_at_ != kNever && frame->goaway.error_code == NGHTTP2_NO_ERROR) {
          nghttp2_submit_ping(self.session_, NGHTTP2_FLAG_NONE, kDrainPing);
        }
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && self.reason_.empty())
          self.reason_ = "malformed";
        return 0;
      case NGHTTP2_HEADERS:
        self.idle_frames_.Earn(2);
        [[fallthrough]];
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
        if (Stream* stream = self.Find(frame->hd.stream_id);
            stream != nullptr && !stream->request_ended) {
          stream->phase = Phase::kAnswered;
          stream->since = self.now_;
          stream->response.body = nullptr;
        }
        return 0;
      default:
        return 0;
    }
  }

  static int OnNotSent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    Http2Session& self = Self(user);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    // A response, that is: an interim one that came too late is no loss.
    Stream* stream = self.Find(frame->hd.stream_id);
    if (stream != nullptr && stream->phase == Phase::kResponse)
      self.Reset(*stream, NGHTTP2_INTERNAL_ERROR);
    return 0;
  }
};

Http2Session::Http2Session(const SessionOptions& options, SessionTotals& totals,
                           std::shared_ptr<const Peer> peer, SessionListener& listener,
                           const base::Clock& clock, MonotonicTime now)
    : options_(options),
      totals_(totals),
      peer_(std::move(peer)),
      listener_(listener),
      date_(clock),
      idle_frames_(options.idle_frame_burst, options.idle_frame_rate, now),
      resets_(options.reset_burst, options.reset_rate, now),
      meter_(idle_frames_, resets_, 2 * size_t{options.max_concurrent_streams}),
      now_(now),
      idle_since_(now) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, Callbacks::OnInvalidHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::OnClose);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::SendBody);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::OnSent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, Callbacks::OnNotSent);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_no_auto_window_update(option, 1);
  // Our own limits say why they close, count the resets of both sides, and a CONTINUATION once
  // however many pieces its header came in; nghttp2's must not come first.
  constexpr uint32_t kNone = 1 << 30;
  nghttp2_option_set_stream_reset_rate_limit(option, kNone, kNone);
  nghttp2_option_set_max_continuations(option, kNone);
  // RFC 9113 §8.2.1 forbids white space around a value, but clients send it ("Bearer " before a
  // token that is empty) and Go's server takes it: what it means is authentication's to say. It
  // stays in the value: a proxy's user "admin " isn't "admin".
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
  nghttp2_session_server_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);

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
  totals_.held.Give(held_bytes_);
  nghttp2_session_del(session_);
}

void Http2Session::Receive(std::string_view bytes, MonotonicTime now) {
  if (ended_) return;
  now_ = now;
  if (!meter_.Pass(bytes, now)) {
    return End(meter_.error(), meter_.reason());
  }
  const ssize_t n = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  // A header block whose rest may not come for a while.
  if (receiving_ != nullptr && !Hold(*receiving_)) {
    Reset(*std::exchange(receiving_, nullptr), NGHTTP2_REFUSED_STREAM);
  }
  if (n >= 0 || ended_) return;
  if (n == NGHTTP2_ERR_FLOODED) return End(NGHTTP2_ENHANCE_YOUR_CALM, "frame_flood");
  End(NGHTTP2_PROTOCOL_ERROR, "malformed");
}

void Http2Session::ReceiveEnd(MonotonicTime) {
  ended_ = true;
  broken_ = true;
}

Http2Session::Stream* Http2Session::Find(int32_t id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.get();
}

Http2Session::Stream* Http2Session::Open(int32_t id) {
  // Streams that the client has reset count for as long as their handlers run.
  if (streams_.size() >= options_.max_concurrent_streams ||
      held_bytes_ >= options_.max_held_bytes) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return nullptr;
  }
  greeted_ = true;
  if (streams_.empty()) next_check_ = now_ + kCheckInterval;
  auto& stream = streams_[id];
  stream = std::make_unique<Stream>(id);
  stream->since = now_;
  stream->request.version = Version::kHttp2;
  stream->request.headers.Reserve(12);
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
  if (!Hold(stream)) return Reset(stream, NGHTTP2_REFUSED_STREAM);
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

// Counts what has come of its headers; false if all sessions together hold too much.
bool Http2Session::Hold(Stream& stream) {
  const size_t bytes = std::min(stream.header_bytes, options_.max_header_bytes) - stream.held_bytes;
  if (!totals_.held.Take(bytes)) return false;
  stream.held_bytes += bytes;
  held_bytes_ += bytes;
  return true;
}

void Http2Session::Unhold(Stream& stream) {
  const size_t bytes = std::exchange(stream.held_bytes, 0);
  held_bytes_ -= bytes;
  totals_.held.Give(bytes);
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
  if (stream == nullptr || stream->phase != Phase::kHandler) return;
  --in_progress_;
  stream->gone = nullptr;
  if (stream->closed) return Release(*stream);
  Reset(*stream, NGHTTP2_INTERNAL_ERROR);
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
  const size_t size = stream.response.body == nullptr ? 0 : stream.response.body->size();
  if (HasContent(status)) {
    const char* end =
        std::to_chars(stream.length_text.data(), stream.length_text.data() + 20, size).ptr;
    fields_.push_back(
        Field("content-length",
              View(stream.length_text, static_cast<size_t>(end - stream.length_text.data()))));
  }
  const bool has_body = size > 0 && !stream.is_head && HasContent(status);
  if (!has_body) stream.response.body = nullptr;
  nghttp2_data_provider body;
  body.source.ptr = &stream;
  body.read_callback = Callbacks::ReadBody;
  const int error = nghttp2_submit_response(session_, stream.id, fields_.data(), fields_.size(),
                                            has_body ? &body : nullptr);
  if (error != 0) return Reset(stream, NGHTTP2_INTERNAL_ERROR);
  if (has_body && size > kInterleavedBody) {
    const nghttp2_extpri interleaved = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    nghttp2_session_change_extpri_stream_priority(session_, stream.id, &interleaved, 0);
  }
}

void Http2Session::StartMeasuring(Stream& stream) {
  stream.since = now_;
  stream.body_mark = stream.body_sent;
  stream.connection_mark = body_bytes_sent_;
}

bool Http2Session::TookEnough(const Stream& stream) const {
  const bool holds_itself_up =
      nghttp2_session_get_stream_remote_window_size(session_, stream.id) <= 0;
  const uint64_t took = holds_itself_up ? stream.body_sent - stream.body_mark
                                        : body_bytes_sent_ - stream.connection_mark;
  const double seconds = std::chrono::duration<double>(options_.stall_timeout).count();
  return took > 0 && static_cast<double>(took) >= seconds * options_.min_read_rate;
}

std::optional<SlowestAnswer> Http2Session::Slowest(MonotonicTime now) const {
  std::optional<SlowestAnswer> slowest;
  for (const auto& [id, stream] : streams_) {
    if (stream->response.body == nullptr || now < stream->since + kSlowestAge) continue;
    const double seconds = std::chrono::duration<double>(now - stream->since).count();
    const SlowestAnswer answer{static_cast<StreamId>(id),
                               static_cast<double>(stream->body_sent - stream->body_mark) / seconds,
                               stream->response.body->size() - stream->body_sent};
    if (!slowest || answer.bytes_per_second < slowest->bytes_per_second ||
        (answer.bytes_per_second == slowest->bytes_per_second &&
         answer.bytes_left > slowest->bytes_left)) {
      slowest = answer;
    }
  }
  return slowest;
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
  Unhold(stream);
  // The body goes now, for the reset itself may have to wait for the socket.
  if (pending_body_ != nullptr && pending_body_ == stream.response.body) {
    pending_head_.append(std::exchange(pending_body_rest_, {}));
    pending_body_ = nullptr;
  }
  stream.response.body = nullptr;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, error);
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
  Unhold(stream);
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

MonotonicTime Http2Session::next_deadline() const {
  if (ended_) return kNever;
  const MonotonicTime next =
      streams_.empty() ? idle_since_ + (greeted_ ? options_.idle_timeout : options_.header_timeout)
                       : next_check_;
  return std::min(next, confirm_drain_at_);
}

void Http2Session::OnDeadline(MonotonicTime now) {
  now_ = now;
  if (now < next_deadline()) return;
  if (now >= confirm_drain_at_) ConfirmDrain();
  if (streams_.empty()) {
    if (now >= idle_since_ + (greeted_ ? options_.idle_timeout : options_.header_timeout)) {
      End(NGHTTP2_NO_ERROR, greeted_ ? "idle" : "header_timeout");
    }
    return;
  }
  if (now < next_check_) return;
  next_check_ = now + kCheckInterval;
  for (const auto& [id, stream] : streams_) {
    if (stream->closed) continue;
    switch (stream->phase) {
      case Phase::kHeaders:
        // The rest of the connection can't be read either: header blocks don't interleave.
        if (now >= stream->since + options_.header_timeout) {
          return End(NGHTTP2_ENHANCE_YOUR_CALM, "header_timeout");
        }
        break;
      case Phase::kResponse:
        if (now < stream->since + options_.stall_timeout) break;
        if (TookEnough(*stream)) {
          StartMeasuring(*stream);
        } else {
          totals_.slow_readers.fetch_add(1, std::memory_order_relaxed);
          Reset(*stream, NGHTTP2_CANCEL);
        }
        break;
      case Phase::kAnswered:
        // RFC 9113 §8.1: the client need not send the rest.
        if (now >= stream->since + kPatienceWithBody) Reset(*stream, NGHTTP2_NO_ERROR);
        break;
      case Phase::kHandler:
        break;
    }
  }
}

std::unique_ptr<Session> MakeHttp2Session(const SessionOptions& options, SessionTotals& totals,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now) {
  return std::make_unique<Http2Session>(options, totals, std::move(peer), listener, clock, now);
}

}  // namespace strata::http
