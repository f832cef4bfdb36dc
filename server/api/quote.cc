#include "server/api/quote.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "lib/base/utf8.h"

namespace strata::api {
namespace {

struct Range {
  uint32_t first, last;
};

// Unicode's general categories Cc, Cf, Co, Zl, Zp, and Zs but for the space (strconv/quote.go
// IsPrint).
constexpr Range kUnprintable[] = {
    {0x00, 0x1F},       {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},
    {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
    {0x8E2, 0x8E2},     {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
    {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},   {0xE000, 0xF8FF},
    {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},
    {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF}, {0xF0000, 0xFFFFF}, {0x100000, 0x10FFFF}};

bool IsPrint(uint32_t code) {
  const auto* range = std::lower_bound(std::begin(kUnprintable), std::end(kUnprintable), code,
                                       [](const Range& r, uint32_t c) { return r.last < c; });
  return range == std::end(kUnprintable) || code < range->first;
}

}  // namespace

std::string Quote(std::string_view text) {
  constexpr std::string_view kNamed = "\a\b\f\n\r\t\v";
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  while (!text.empty()) {
    const size_t length = base::Utf8Length(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    const uint32_t code = length == 0 ? 0 : base::CodePoint(text.substr(0, length));
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[0];
    } else if (length > 0 && IsPrint(code)) {
      out += text.substr(0, length);
    } else if (const size_t named = kNamed.find(text[0]); named != std::string_view::npos) {
      out += '\\';
      out += "abfnrtv"[named];
    } else if (length < 2) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out + '"';
}

}  // namespace strata::api
