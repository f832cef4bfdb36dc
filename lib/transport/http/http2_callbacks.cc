// How nghttp2 is set up for a session, and what it calls.
#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/transport/http/header_names.h"
#include "lib/transport/http/http2_session.h"
#include "lib/transport/http/nghttp2_text.h"

namespace strata::http {
namespace {

// A header block that decodes to more than this many times the limit isn't a mistake:
// CVE-2016-6581.
constexpr size_t kHeaderBomb = 4;
// A window update is paid for by so many bytes sent; clients send one for 4 KiB at most, and one
// for the connection.
constexpr double kBytesPerEarnedFrame = 1024;
// Frames that wait for the client to read, beside two for each of its streams: mostly resets of
// what was refused, some 160 bytes each, which hold no stream.
constexpr size_t kMaxUnread = 256;
constexpr uint8_t kDrainPing[8] = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& Self(void* user) { return *static_cast<Http2Session*>(user); }

  // Also for those that nghttp2 refuses itself, while the client hasn't acknowledged how many
  // streams it may have.
  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    Http2Session& self = Self(user);
    if (head->type != NGHTTP2_HEADERS || self.peer_->proxy || !self.TooMuchUnread()) return 0;
    self.End(NGHTTP2_ENHANCE_YOUR_CALM, "reset_flood");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

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

  // Of a body that flows: into nghttp2's own buffer for a frame.
  static ssize_t ReadFlow(nghttp2_session*, int32_t, uint8_t* buffer, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void* user) {
    Stream& stream = *static_cast<Stream*>(source->ptr);
    std::unique_ptr<Body>& flow = stream.response.flow;
    if (flow == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // reset
    const Body::Piece piece = flow->Next({reinterpret_cast<char*>(buffer), size});
    Self(user).CountSent(stream, piece.bytes);
    if (piece.rest == Body::Rest::kNone) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      flow = nullptr;
    } else if (piece.rest == Body::Rest::kBroken) {
      flow = nullptr;
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    } else if (piece.bytes == 0) {
      stream.waits_for_body = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(piece.bytes);
  }

  static int SendBody(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* user) {
    Http2Session& self = Self(user);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const std::string_view part =
        std::string_view(*stream.response.body).substr(stream.body_sent, size);
    self.CountSent(stream, size);
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
        self.meter_.NoteReset(static_cast<uint32_t>(frame->hd.stream_id));
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

nghttp2_session* Http2Session::MakeSession() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, Callbacks::OnBeginFrame);
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
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new2(&session, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  return session;
}

nghttp2_data_provider Http2Session::BodyOf(Stream& stream) {
  nghttp2_data_provider body;
  body.source.ptr = &stream;
  body.read_callback = stream.response.flow == nullptr ? Callbacks::ReadBody : Callbacks::ReadFlow;
  return body;
}

bool Http2Session::TooMuchUnread() const {
  return nghttp2_session_get_outbound_queue_size(session_) > 2 * streams_.size() + kMaxUnread;
}

void Http2Session::CountSent(Stream& stream, size_t bytes) {
  stream.body_sent += bytes;
  body_bytes_sent_ += bytes;
  moved_ = now_;
  idle_frames_.Earn(1 + static_cast<double>(bytes) / kBytesPerEarnedFrame);
}

}  // namespace strata::http
