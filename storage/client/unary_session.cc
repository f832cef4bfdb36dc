#include "storage/client/unary_session.h"

#include <absl/strings/numbers.h>
#include <endian.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/transport/http/http2_field.h"

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

}  // namespace

UnarySession::UnarySession(std::string scheme, std::string authority)
    : session_(std::move(scheme), std::move(authority), *this) {}

void UnarySession::Start(const UnaryRequest& request, std::chrono::milliseconds timeout) {
  for (std::string* text : {&http_status_, &grpc_status_, &grpc_message_, &answer_}) text->clear();
  // At most eight digits.
  const std::string limit = fmt::format("{}m", std::clamp<int64_t>(timeout.count(), 1, 99'999'999));
  constexpr uint8_t kLiteral = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  constexpr uint8_t kOnce = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX;
  const std::array<nghttp2_nv, 5> fields = {
      http::Http2Field("te", "trailers", kLiteral),
      http::Http2Field("content-type", "application/grpc", kLiteral),
      http::Http2Field("user-agent", "strata-grpc", kLiteral),
      http::Http2Field("grpc-timeout", limit, kOnce),
      http::Http2Field("token", request.token, kOnce)};
  session_.Start("POST", request.path,
                 std::span(fields).first(fields.size() - (request.token.empty() ? 1 : 0)),
                 Framed(request.message));
}

void UnarySession::OnField(std::string_view name, std::string_view value) {
  if (name == ":status") {
    http_status_ = value;
  } else if (name == "grpc-status") {
    grpc_status_ = value;
  } else if (name == "grpc-message") {
    grpc_message_ = value;
  }
}

void UnarySession::OnBody(std::string_view bytes) {
  if (answer_.size() + bytes.size() <= kMaxAnswerBytes) {
    answer_ += bytes;
    return;
  }
  session_.Abandon();
  grpc_status_ = std::to_string(static_cast<int>(base::StatusCode::kResourceExhausted));
  grpc_message_ = "the answer is larger than 4 MiB";
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
  if (!session_.broken().empty())
    return base::UnavailableError(fmt::format("the connection: {}", session_.broken()));
  if (!http_status_.empty() && http_status_ != "200")
    return base::UnavailableError(fmt::format("it answers HTTP status {}: that is no etcd",
                                              base::Printable(http_status_, 20)));
  if (const uint32_t error = session_.reset(); error != NGHTTP2_NO_ERROR)
    return base::UnavailableError(
        fmt::format("the call was reset: {}", nghttp2_http2_strerror(error)));
  return base::UnavailableError("the answer has no grpc-status: that is no etcd");
}

}  // namespace strata::client
