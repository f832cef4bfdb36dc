#include "lib/transport/http/chunked_body.h"

#include <algorithm>
#include <charconv>

#include "lib/base/ascii.h"
#include "lib/transport/http/header_names.h"
#include "lib/transport/http/response_head.h"

namespace strata::http {
namespace {

// As Go's (net/http/internal/chunked.go, maxLineLength).
constexpr size_t kMaxSizeLine = 4096;
// What a body may spend on its framing: chunks of a few bytes are unusual, endless extensions
// hostile.
constexpr uint64_t kFramingAllowance = 64 << 10;
constexpr uint64_t kFramingPerByte = 16;

bool IsTokenChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

void SkipSpace(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

bool SkipOne(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool SkipToken(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), IsTokenChar);
  const bool any = end != text.begin();
  text.remove_prefix(static_cast<size_t>(end - text.begin()));
  return any;
}

// RFC 9110 §5.6.4.
bool SkipQuoted(std::string_view& text) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\') ++i;
  }
  return false;
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
bool AreExtensions(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), IsControl)) return false;
  while (!text.empty()) {
    SkipSpace(text);
    if (!SkipOne(text, ';')) return false;
    SkipSpace(text);
    if (!SkipToken(text)) return false;
    std::string_view value = text;
    SkipSpace(value);
    if (!SkipOne(value, '=')) continue;
    SkipSpace(value);
    if (!(value.starts_with('"') ? SkipQuoted(value) : SkipToken(value))) return false;
    text = value;
  }
  return true;
}

}  // namespace

size_t ChunkedBody::Next(std::string_view bytes, std::string_view& content) {
  content = {};
  if (state_ == State::kContent) {
    content = bytes.substr(0, std::min<uint64_t>(remaining_, bytes.size()));
    content_bytes_ += content.size();
    remaining_ -= content.size();
    if (remaining_ == 0) state_ = State::kContentEnd;
    return content.size();
  }
  const size_t feed = bytes.find('\n');
  const size_t length = feed == std::string_view::npos ? bytes.size() : feed + 1;
  framing_bytes_ += length;
  if (line_.size() + length > MaxLineBytes()) {
    if (state_ == State::kTrailer) {
      Refuse(431, {});
    } else {
      Refuse(400, state_ == State::kSize ? "the body's framing is too large" : "bad chunk");
    }
  } else if (framing_bytes_ > kFramingAllowance + content_bytes_ * kFramingPerByte) {
    Refuse(400, "the body's framing is too large");
  } else {
    line_ += bytes.substr(0, length);
    if (feed != std::string_view::npos) {
      TakeLine(line_);
      std::string().swap(line_);  // its memory may be a trailer's
    }
  }
  return length;
}

// With its CRLF.
size_t ChunkedBody::MaxLineBytes() const {
  switch (state_) {
    case State::kContentEnd:
      return 2;
    case State::kTrailer:
      return trailer_allowance_ + 2;
    default:
      return kMaxSizeLine;
  }
}

void ChunkedBody::TakeLine(std::string_view line) {
  line.remove_suffix(1);
  if (!line.ends_with('\r')) return Refuse(400, "a line feed without a carriage return");
  line.remove_suffix(1);
  switch (state_) {
    case State::kSize:
      return TakeSize(line);
    case State::kTrailer:
      return TakeTrailer(line);
    default:
      // Its length leaves it no choice but to be empty.
      state_ = State::kSize;
  }
}

void ChunkedBody::TakeSize(std::string_view line) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), remaining_, 16);
  if (error != std::errc()) return Refuse(400, "bad chunk");
  if (!AreExtensions(line.substr(static_cast<size_t>(end - line.data()))))
    return Refuse(400, "bad chunk extension");
  state_ = remaining_ == 0 ? State::kTrailer : State::kContent;
}

void ChunkedBody::TakeTrailer(std::string_view line) {
  if (line.empty()) {
    state_ = State::kDone;
    return;
  }
  if (line[0] == ' ' || line[0] == '\t') return Refuse(400, "a folded header");
  std::string_view value = line;
  if (!SkipToken(value) || !value.starts_with(':')) return Refuse(400, "a malformed header name");
  const std::string_view name = line.substr(0, line.size() - value.size());
  value.remove_prefix(1);
  if (std::any_of(value.begin(), value.end(), IsControl))
    return Refuse(400, "a control character in the header");
  // RFC 9110 §6.5.1: what frames or routes a message came too late to do so.
  if (IsOfOneHop(base::Lower(name))) return Refuse(400, "a forbidden trailer field");
  SkipSpace(value);
  const size_t cost = name.size() + value.size() + kHeaderOverhead;
  if (cost > trailer_allowance_) return Refuse(431, {});
  trailer_allowance_ -= cost;
}

void ChunkedBody::Refuse(int status, std::string_view detail) {
  state_ = State::kRefused;
  refusal_ = status;
  detail_ = detail;
}

}  // namespace strata::http
