#include "codec/yaml_scalar.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

namespace strata::codec {
namespace {

bool OneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

std::optional<std::string> ResolveInteger(std::string_view plain) {
  bool negative = false;
  if (!plain.empty() && (plain[0] == '-' || plain[0] == '+')) {
    negative = plain[0] == '-';
    plain.remove_prefix(1);
  }
  int base = 10;
  if (plain.starts_with("0x")) base = 16;
  if (plain.starts_with("0b")) base = 2;
  if (base != 10) {
    plain.remove_prefix(2);
  } else if (plain.size() > 1 && plain[0] == '0') {
    base = 8;  // strconv.ParseInt with base 0
    plain.remove_prefix(plain[1] == 'o' ? 2 : 1);
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value, base);
  if (plain.empty() || error != std::errc() || end != plain.data() + plain.size()) return std::nullopt;
  if (negative && value > uint64_t{1} << 63) return std::nullopt;
  return fmt::format("{}{}", negative && value != 0 ? "-" : "", value);
}

// yamlStyleFloat: ^[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?$
std::optional<std::string> ResolveFloat(std::string_view plain) {
  std::string_view rest = plain;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  bool digits = false;
  for (const char c : rest.substr(0, rest.find_first_of("eE"))) {
    if (c != '.' && (c < '0' || c > '9')) return std::nullopt;
    digits = digits || c != '.';
  }
  if (!digits) return std::nullopt;
  if (plain[0] == '+') plain.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error != std::errc() || end != plain.data() + plain.size() || !std::isfinite(value)) return std::nullopt;
  return fmt::format("{}", value);
}

}  // namespace

std::optional<std::string> ResolvePlain(std::string_view text) {
  if (OneOf(text, {"", "~", "null", "Null", "NULL"})) return "null";
  if (OneOf(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) return "true";
  if (OneOf(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) return "false";
  const char first = text[0];
  if (first != '-' && first != '+' && first != '.' && (first < '0' || first > '9')) return std::nullopt;
  std::string plain;
  for (const char c : text) {
    if (c != '_') plain += c;
  }
  if (plain.empty()) return std::nullopt;
  if (auto integer = ResolveInteger(plain)) return integer;
  return ResolveFloat(plain);
}

}  // namespace strata::codec
