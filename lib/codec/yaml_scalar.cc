#include "lib/codec/yaml_scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "lib/codec/time.h"

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
  if (plain.empty() || error != std::errc() || end != plain.data() + plain.size())
    return std::nullopt;
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
  if (end != plain.data() + plain.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // strconv.ParseFloat has an error for what is too large, but 0 for what is too small.
    return plain.find("e-") == plain.npos && plain.find("E-") == plain.npos
               ? std::nullopt
               : std::optional<std::string>("0");
  }
  if (error != std::errc()) return std::nullopt;
  return fmt::format("{}", value);
}

// Takes one or two digits (or exactly `exactly`) from `text`; -1 if they aren't there.
int TakeNumber(std::string_view& text, size_t exactly = 0) {
  size_t size = 0;
  int value = 0;
  while (size < text.size() && size < (exactly ? exactly : 2) && text[size] >= '0' &&
         text[size] <= '9') {
    value = value * 10 + (text[size++] - '0');
  }
  text.remove_prefix(size);
  return size == 0 || (exactly != 0 && size != exactly) ? -1 : value;
}

bool Take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// resolve.go parseTimestamp, with what time.Parse takes for its four layouts.
bool IsTimestamp(std::string_view text) {
  const int year = TakeNumber(text, 4);
  if (year < 0 || !Take(text, '-')) return false;
  const int month = TakeNumber(text);
  if (!Take(text, '-') || !IsDate(year, month, TakeNumber(text))) return false;
  if (text.empty()) return true;
  const bool zone = Take(text, 'T') || Take(text, 't');
  if (!zone && !Take(text, ' ')) return false;
  const int hour = TakeNumber(text);
  if (hour < 0 || hour > 23 || !Take(text, ':')) return false;
  const int minute = TakeNumber(text);
  if (minute < 0 || minute > 59 || !Take(text, ':')) return false;
  const int second = TakeNumber(text);
  if (second < 0 || second > 59) return false;
  if (Take(text, '.') || Take(text, ',')) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return false;
    text.remove_prefix(digits);
  }
  if (!zone || Take(text, 'Z')) return text.empty();
  if (!Take(text, '+') && !Take(text, '-')) return false;
  const int hours = TakeNumber(text, 2);
  if (hours < 0 || hours > 24 || !Take(text, ':')) return false;
  const int minutes = TakeNumber(text, 2);
  return minutes >= 0 && minutes < 60 && text.empty();
}

// encode.go base60float: ^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$
bool IsBase60(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  text.remove_prefix(std::min(text.find_first_not_of("0123456789_"), text.size()));
  if (!text.starts_with(':')) return false;
  while (Take(text, ':')) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 2 || (digits == 2 && text[0] > '5')) return false;
    text.remove_prefix(digits);
  }
  if (Take(text, '.'))
    text.remove_prefix(std::min(text.find_first_not_of("0123456789_"), text.size()));
  return text.empty();
}

// Digits behind 0x, 0o, 0b or none, of which there may be more than 64 bits take (math/big).
bool IsLargeInteger(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  std::string_view digits = "0123456789_";
  if (text.starts_with("0x") || text.starts_with("0X")) digits = "0123456789abcdefABCDEF_";
  if (text.starts_with("0o") || text.starts_with("0O")) digits = "01234567_";
  if (text.starts_with("0b") || text.starts_with("0B")) digits = "01_";
  if (digits.size() != 11) text.remove_prefix(2);
  return !text.empty() && text.find_first_not_of(digits) == text.npos &&
         text.find_first_not_of('_') != text.npos;
}

}  // namespace

std::optional<std::string> ResolvePlain(std::string_view text) {
  if (OneOf(text, {"", "~", "null", "Null", "NULL"})) return "null";
  if (OneOf(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}))
    return "true";
  if (OneOf(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}))
    return "false";
  const char first = text[0];
  if (first != '-' && first != '+' && first != '.' && (first < '0' || first > '9'))
    return std::nullopt;
  std::string plain;
  for (const char c : text) {
    if (c != '_') plain += c;
  }
  if (plain.empty()) return std::nullopt;
  if (auto integer = ResolveInteger(plain)) return integer;
  return ResolveFloat(plain);
}

bool NeedsQuotes(std::string_view text) {
  if (ResolvePlain(text)) return true;
  if (OneOf(text, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF",
                   "-.inf", "-.Inf", "-.INF"})) {
    return true;
  }
  return IsTimestamp(text) || IsBase60(text) || IsLargeInteger(text);
}

std::string PlainLiteral(std::string_view literal) {
  if (literal == "-0") return "0";
  if (literal.find_first_of(".eE") == literal.npos) return std::string(literal);
  double value = 0;
  const auto [end, error] = std::from_chars(literal.data(), literal.data() + literal.size(), value);
  if (error != std::errc()) return std::string(literal);
  // strconv.FormatFloat(value, 'g', -1, 64): an exponent from 1e+06 up and below 0.0001.
  char scientific[40];
  const auto written = std::to_chars(scientific, scientific + sizeof(scientific), value,
                                     std::chars_format::scientific);
  const std::string_view text(scientific, static_cast<size_t>(written.ptr - scientific));
  int exponent = 0;
  std::string_view tail = text.substr(text.find('e') + 1);
  if (tail.starts_with('+')) tail.remove_prefix(1);
  std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
  if (exponent < -4 || exponent >= 6) return std::string(text);
  char fixed[400];
  const auto done = std::to_chars(fixed, fixed + sizeof(fixed), value, std::chars_format::fixed);
  return std::string(fixed, static_cast<size_t>(done.ptr - fixed));
}

}  // namespace strata::codec
