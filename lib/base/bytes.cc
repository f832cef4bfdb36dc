#include "lib/base/bytes.h"

#include <absl/strings/escaping.h>

#include <algorithm>
#include <cstdint>

#include "lib/base/utf8.h"

namespace strata::base {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

std::string ToHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

std::string ToBase64(std::string_view bytes) {
  return absl::Base64Escape({bytes.data(), bytes.size()});
}

std::string ToBase64Url(std::string_view bytes) {
  return absl::WebSafeBase64Escape({bytes.data(), bytes.size()});
}

// As the API, client-go and kubectl read it: line ends may stand anywhere, and what the padding
// leaves of the last digit may be any bits (encoding/base64 Decode, decodeQuantum; not Strict).
std::optional<std::string> FromBase64(std::string_view text) {
  std::string digits;
  digits.reserve(text.size());
  for (const char c : text) {
    if (c == '\r' || c == '\n') continue;
    if (!IsAlphanumeric(c) && c != '+' && c != '/' && c != '=') return std::nullopt;
    digits.push_back(c);
  }
  if (digits.size() % 4 != 0) return std::nullopt;
  // Padding is the last digit, or the last two; what abseil takes beside it was refused above.
  const size_t padding = std::min(digits.find('='), digits.size());
  if (digits.size() - padding > 2 || digits.find_first_not_of('=', padding) != digits.npos)
    return std::nullopt;
  std::string out;
  if (!absl::Base64Unescape({digits.data(), digits.size()}, &out)) return std::nullopt;
  return out;
}

std::string Printable(std::string_view text, size_t limit) {
  std::string out;
  while (!text.empty()) {
    size_t length = Utf8Length(text);
    const bool control = length == 1 && (static_cast<uint8_t>(text[0]) < 0x20 || text[0] == 0x7F);
    const bool c1 = length == 2 && static_cast<uint8_t>(text[0]) == 0xC2 &&
                    static_cast<uint8_t>(text[1]) < 0xA0;
    if (out.size() + (length == 0 ? 1 : length) > limit) return out + "…";
    if (length == 0 || control || c1) {
      out.push_back('?');
      length = length == 0 ? 1 : length;
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace strata::base
