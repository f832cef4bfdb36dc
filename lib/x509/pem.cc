#include "lib/x509/pem.h"

#include "lib/base/bytes.h"

namespace strata::x509 {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "\n-----END ", kDashes = "-----";

// The first line of `text` without what is white at its end, and how long it was with its newline.
struct Line {
  std::string_view text;
  size_t consumed;
};
Line FirstLine(std::string_view text) {
  const size_t newline = text.find('\n');
  const size_t consumed = newline == std::string_view::npos ? text.size() : newline + 1;
  std::string_view line = text.substr(0, newline);
  if (newline != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
  const size_t last = line.find_last_not_of(" \t");
  return {line.substr(0, last == std::string_view::npos ? 0 : last + 1), consumed};
}

std::optional<std::string> Decode(std::string_view base64) {
  std::string dense;
  for (const char c : base64) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') dense += c;
  }
  return base::FromBase64(dense);
}

// The block whose text begins behind "-----BEGIN " and whose next "\n-----END " is at `end`;
// `behind` is what follows it then.
std::optional<PemBlock> BlockAt(std::string_view text, size_t end, std::string_view& behind) {
  PemBlock block;
  const Line type = FirstLine(text);
  if (!type.text.ends_with(kDashes)) return std::nullopt;
  block.type = type.text.substr(0, type.text.size() - kDashes.size());

  size_t at = type.consumed;
  for (;;) {
    if (at >= text.size()) return std::nullopt;
    const Line line = FirstLine(text.substr(at));
    if (line.text.find(':') == std::string_view::npos) break;
    block.has_headers = true;
    at += line.consumed;
  }
  // The newline before END may be the one that ended the line before.
  if (at > end && (block.has_headers || at != end + 1)) return std::nullopt;

  const std::string_view trailer = text.substr(end + kEnd.size());
  const std::string closing = block.type + std::string(kDashes);
  if (!trailer.starts_with(closing)) return std::nullopt;
  if (!FirstLine(trailer.substr(closing.size())).text.empty()) return std::nullopt;
  if (at < end) {
    auto bytes = Decode(text.substr(at, end - at));
    if (!bytes) return std::nullopt;
    block.bytes = *std::move(bytes);
  }
  behind = trailer.substr(FirstLine(trailer).consumed);
  return block;
}

}  // namespace

std::optional<PemBlock> NextPemBlock(std::string_view& rest) {
  std::string_view text = rest;
  for (;;) {
    // The last BEGIN before the first END: one without its END is passed by.
    const size_t end = text.find(kEnd);
    if (end == std::string_view::npos) return std::nullopt;
    const size_t begin = text.substr(0, end).rfind(kBegin);
    if (begin != std::string_view::npos && (begin == 0 || text[begin - 1] == '\n')) {
      const size_t body = begin + kBegin.size();
      std::string_view behind;
      if (auto block = BlockAt(text.substr(body), end - body, behind)) {
        rest = behind;
        return block;
      }
    }
    text.remove_prefix(end + kEnd.size());
  }
}

}  // namespace strata::x509
