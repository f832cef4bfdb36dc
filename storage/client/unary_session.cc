#include "storage/client/unary_session.h"

#include <absl/strings/numbers.h>
#include <endian.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "lib/base/bytes.h"

namespace strata::client {
namespace {

// gRPC's own default for what is received.
constexpr size_t kMaxAnswerBytes = size_t{4} << 20;
constexpr size_t kPrefixBytes = 5;  // compressed or not, and the message's size

std::string Framed(const std::string& message) {
  std::string framed(kPrefixBytes, '\0');
  const uint32_t size = htobe32(static_cast<uint32_t>(message.size()));
  std::memcpy(framed.data() + 1, &size, sizeof(size));
  return framed + message;
}

base::StatusOr<std::string> Unframed(std::string_view body) {
  uint32_t size = 0;
  if (body.size() >= kPrefixBytes) std::memcpy(&size, body.data() + 1, sizeof(size));
  if (body.size() < kPrefixBytes || body.size() - kPrefixBytes != be32toh(size))
    return base::InternalError("the answer isn't one whole message");
  if (body[0] != 0) return base::InternalError("the answer is compressed, which wasn't asked for");
  return std::string(body.substr(kPrefixBytes));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// As PROTOCOL-HTTP2.md has Percent-Encoded; what isn't stays as it is.
std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) i += 2;
    out += low >= 0 ? static_cast<char>(high * 16 + low) : text[i];
  }
  return out;
}

nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags = 0) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(  // NOLINT(cppcoreguidelines-pro-type-const-cast): it is copied
        reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), flags};
}

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

struct UnarySession::Callbacks {
  static UnarySession& Self(void* user) { return *static_cast<UnarySession*>(user); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    UnarySession& self = Self(user);
    if (frame->hd.stream_id == self.stream_)
      self.AddField(View(name, name_size), View(value, value_size));
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, size_t size,
                    void* user) {
    UnarySession& self = Self(user);
    if (stream == self.stream_) self.AddBody(View(bytes, size));
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) Self(user).leaving_ = true;
    return 0;
  }
  static int OnClose(nghttp2_session*, int32_t stream, uint32_t error, void* user) {
    UnarySession& self = Self(user);
    if (stream == self.stream_) self.Closed(error);
    return 0;
  }
  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* buffer, size_t size, uint32_t* flags,
                          nghttp2_data_source*, void* user) {
    UnarySession& self = Self(user);
    const size_t part = std::min(size, self.body_.size() - self.sent_);
    std::memcpy(buffer, self.body_.data() + self.sent_, part);
    self.sent_ += part;
    if (self.sent_ == self.body_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(part);
  }
};

UnarySession::UnarySession(std::string scheme, std::string authority)
    : scheme_(std::move(scheme)), authority_(std::move(authority)) {
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

UnarySession::~UnarySession() {
  nghttp2_session_del(session_);
}

void UnarySession::Start(const UnaryRequest& request, std::chrono::milliseconds timeout) {
  body_ = Framed(request.message);
  sent_ = 0;
  ended_ = answering_ = false;
  reset_.reset();
  for (std::string* text : {&http_status_, &grpc_status_, &grpc_message_, &answer_}) text->clear();
  if (!reusable()) return Break("it takes no more calls");
  // At most eight digits.
  const std::string limit = fmt::format("{}m", std::clamp<int64_t>(timeout.count(), 1, 99'999'999));
  std::array<nghttp2_nv, 9> fields = {Field(":method", "POST"),
                                      Field(":scheme", scheme_),
                                      Field(":path", request.path),
                                      Field(":authority", authority_),
                                      Field("te", "trailers"),
                                      Field("content-type", "application/grpc"),
                                      Field("user-agent", "strata-grpc"),
                                      Field("grpc-timeout", limit, NGHTTP2_NV_FLAG_NO_INDEX),
                                      Field("token", request.token, NGHTTP2_NV_FLAG_NO_INDEX)};
  const size_t count = fields.size() - (request.token.empty() ? 1 : 0);
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::ReadBody;
  stream_ = nghttp2_submit_request(session_, nullptr, fields.data(), count, &provider, nullptr);
  if (stream_ < 0) Break(nghttp2_strerror(stream_));
}

void UnarySession::Abandon() {
  if (ended_) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_, NGHTTP2_CANCEL);
  Closed(NGHTTP2_CANCEL);
}

std::string UnarySession::Produce() {
  Collect();
  return std::exchange(out_, {});
}

void UnarySession::Collect() {
  while (broken_.empty()) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) Break(nghttp2_strerror(static_cast<int>(size)));
    if (size <= 0) break;
    out_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  }
}

void UnarySession::Receive(std::string_view bytes) {
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

void UnarySession::ReceiveEnd() {
  Break("it was closed");
}

bool UnarySession::reusable() const {
  return broken_.empty() && !leaving_ && nghttp2_session_check_request_allowed(session_) != 0;
}

void UnarySession::AddField(std::string_view name, std::string_view value) {
  answering_ = true;
  if (name == ":status") {
    http_status_ = value;
  } else if (name == "grpc-status") {
    grpc_status_ = value;
  } else if (name == "grpc-message") {
    grpc_message_ = value;
  }
}

void UnarySession::AddBody(std::string_view bytes) {
  answering_ = true;
  if (answer_.size() + bytes.size() <= kMaxAnswerBytes) {
    answer_ += bytes;
    return;
  }
  Abandon();
  grpc_status_ = std::to_string(static_cast<int>(base::StatusCode::kResourceExhausted));
  grpc_message_ = "the answer is larger than 4 MiB";
}

void UnarySession::Closed(uint32_t error) {
  reset_ = error;
  ended_ = true;
  stream_ = 0;
}

void UnarySession::Break(std::string_view why) {
  if (broken_.empty()) broken_ = why;
  ended_ = true;
}

base::StatusOr<std::string> UnarySession::TakeAnswer() {
  // What a server says counts, however the stream ended then.
  int code = 0;
  if (!grpc_status_.empty()) {
    if (!absl::SimpleAtoi(grpc_status_, &code) || code < 0 || code > 16)
      code = static_cast<int>(base::StatusCode::kUnknown);
    if (code == 0) return Unframed(answer_);
    return base::Error(static_cast<base::StatusCode>(code),
                       base::Printable(PercentDecoded(grpc_message_), 300));
  }
  if (!broken_.empty()) return base::UnavailableError("the connection: " + broken_);
  if (!http_status_.empty() && http_status_ != "200")
    return base::UnavailableError(fmt::format("it answers HTTP status {}: that is no etcd",
                                              base::Printable(http_status_, 20)));
  if (const uint32_t error = reset_.value_or(NGHTTP2_NO_ERROR); error != NGHTTP2_NO_ERROR)
    return base::UnavailableError(
        fmt::format("the call was reset: {}", nghttp2_http2_strerror(error)));
  return base::UnavailableError("the answer has no grpc-status: that is no etcd");
}

}  // namespace strata::client
