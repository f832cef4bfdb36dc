#include "server/api/duration.h"

#include <fmt/format.h>

#include <limits>
#include <string>


namespace strata::api {
namespace {

struct Unit {
  std::string_view name;
  int64_t nanos;
};
constexpr Unit kUnits[] = {{"ns", 1},
                           {"us", 1000},
                           {"µs", 1000},   // U+00B5
                           {"μs", 1000},   // U+03BC
                           {"ms", 1'000'000},
                           {"s", 1'000'000'000},
                           {"m", 60'000'000'000},
                           {"h", 3'600'000'000'000}};

// strconv.Quote, near enough for what a client would send by mistake.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 200)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

base::StatusOr<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  const auto invalid = [&](std::string_view what = "invalid duration ") {
    return base::InvalidArgumentError(fmt::format("time: {}{}", what, Quoted(text)));
  };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return std::chrono::nanoseconds(0);
  if (rest.empty()) return invalid();
  long double total = 0;
  while (!rest.empty()) {
    long double value = 0, scale = 1;
    bool digits = false;
    while (!rest.empty() && IsDigit(rest[0])) {
      value = value * 10 + (rest[0] - '0');
      rest.remove_prefix(1);
      digits = true;
    }
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      while (!rest.empty() && IsDigit(rest[0])) {
        value = value * 10 + (rest[0] - '0');
        scale *= 10;
        rest.remove_prefix(1);
        digits = true;
      }
    }
    if (!digits) return invalid();
    size_t length = 0;
    while (length < rest.size() && rest[length] != '.' && !IsDigit(rest[length])) ++length;
    if (length == 0) return invalid("missing unit in duration ");
    const std::string_view name = rest.substr(0, length);
    rest.remove_prefix(length);
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (candidate.name == name) unit = &candidate;
    }
    if (unit == nullptr) return invalid(fmt::format("unknown unit {} in duration ", Quoted(name)));
    total += value / scale * static_cast<long double>(unit->nanos);
    if (total > static_cast<long double>(std::numeric_limits<int64_t>::max())) return invalid();
  }
  return std::chrono::nanoseconds(static_cast<int64_t>(negative ? -total : total));
}

}  // namespace strata::api
