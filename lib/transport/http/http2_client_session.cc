#include "lib/transport/http/http2_client_session.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "lib/transport/http/http2_field.h"
#include "lib/transport/http/nghttp2_text.h"

namespace strata::http {
struct Http2ClientSession::Callbacks {
  static Http2ClientSession& Self(void* user) { return *static_cast<Http2ClientSession*>(user); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    Http2ClientSession& self = Self(user);
    if (frame->hd.stream_id != self.stream_) return 0;
    self.answering_ = true;
    self.receiver_.OnField(View(name, name_size), View(value, value_size));
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, size_t size,
                    void* user) {
    Http2ClientSession& self = Self(user);
    if (stream != self.stream_) return 0;
    self.answering_ = true;
    self.receiver_.OnBody(View(bytes, size));
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) Self(user).leaving_ = true;
    return 0;
  }
  static int OnClose(nghttp2_session*, int32_t stream, uint32_t error, void* user) {
    Http2ClientSession& self = Self(user);
    if (stream == self.stream_) self.Closed(error);
    return 0;
  }
  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* buffer, size_t size, uint32_t* flags,
                          nghttp2_data_source*, void* user) {
    Http2ClientSession& self = Self(user);
    const size_t part = std::min(size, self.body_.size() - self.sent_);
    std::memcpy(buffer, self.body_.data() + self.sent_, part);
    self.sent_ += part;
    if (self.sent_ == self.body_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(part);
  }
};

Http2ClientSession::Http2ClientSession(std::string scheme, std::string authority,
                                       Receiver& receiver)
    : scheme_(std::move(scheme)), authority_(std::move(authority)), receiver_(receiver) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::OnClose);
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
}

Http2ClientSession::~Http2ClientSession() {
  nghttp2_session_del(session_);
}

void Http2ClientSession::Start(std::string_view method, std::string_view path,
                               std::span<const nghttp2_nv> fields, std::string body) {
  body_ = std::move(body);
  sent_ = 0;
  ended_ = answering_ = false;
  reset_ = NGHTTP2_NO_ERROR;
  if (!reusable()) return Break("it takes no more calls");
  constexpr uint8_t kKeptName = NGHTTP2_NV_FLAG_NO_COPY_NAME;
  constexpr uint8_t kKept = kKeptName | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  fields_.clear();
  fields_.push_back(Http2Field(":method", method, kKeptName));
  fields_.push_back(Http2Field(":scheme", scheme_, kKept));
  fields_.push_back(Http2Field(":path", path, kKeptName));
  fields_.push_back(Http2Field(":authority", authority_, kKept));
  fields_.insert(fields_.end(), fields.begin(), fields.end());
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::ReadBody;
  stream_ =
      nghttp2_submit_request(session_, nullptr, fields_.data(), fields_.size(), &provider, nullptr);
  if (stream_ < 0) Break(nghttp2_strerror(stream_));
}

void Http2ClientSession::Abandon() {
  if (ended_) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_, NGHTTP2_CANCEL);
  Closed(NGHTTP2_CANCEL);
}

std::string Http2ClientSession::Produce() {
  Collect();
  return std::exchange(out_, {});
}

void Http2ClientSession::Collect() {
  while (broken_.empty()) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) Break(nghttp2_strerror(static_cast<int>(size)));
    if (size <= 0) break;
    out_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  }
}

void Http2ClientSession::Receive(std::string_view bytes) {
  if (!broken_.empty()) return;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) return Break(nghttp2_strerror(static_cast<int>(taken)));
  // After an error of the peer's it wants to say GOAWAY, and then no more.
  Collect();
  if (nghttp2_session_want_read(session_) == 0)
    Break(leaving_            ? "the server is going away"
          : scheme_ == "http" ? "that is no HTTP/2: is it https://?"
                              : "that is no HTTP/2");
}

void Http2ClientSession::ReceiveEnd() {
  Break("it was closed");
}

bool Http2ClientSession::reusable() const {
  return broken_.empty() && !leaving_ && nghttp2_session_check_request_allowed(session_) != 0;
}

void Http2ClientSession::Closed(uint32_t error) {
  reset_ = error;
  ended_ = true;
  stream_ = 0;
}

void Http2ClientSession::Break(std::string_view why) {
  if (broken_.empty()) broken_ = why;
  ended_ = true;
}

}  // namespace strata::http
