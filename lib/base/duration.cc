// Go's time/format.go ParseDuration, with its arithmetic: what overflows there overflows here.
#include "lib/base/duration.h"

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace strata::base {
namespace {

constexpr uint64_t kMax = uint64_t{1} << 63;  // the magnitude of the least int64

struct Unit {
  std::string_view name;
  uint64_t nanos;
};
constexpr Unit kUnits[] = {
    {"ns", 1},           {"us", 1000},         {"\xC2\xB5s", 1000},  // U+00B5
    {"\xCE\xBCs", 1000},                                             // U+03BC
    {"ms", 1'000'000},   {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};

// The time package has a quote of its own: what isn't printable ASCII becomes \x... A client's
// mistake is told in full up to a length that no duration has.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 256)) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x80) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the digits at the start of `rest`. False if their value is more than kMax.
bool TakeInteger(std::string_view& rest, uint64_t& value) {
  for (; !rest.empty() && IsDigit(rest[0]); rest.remove_prefix(1)) {
    if (value > kMax / 10) return false;
    value = value * 10 + static_cast<uint64_t>(rest[0] - '0');
    if (value > kMax) return false;
  }
  return true;
}

// Takes the digits behind a point: `value` / `scale`. Digits that make no difference any more are
// skipped.
void TakeFraction(std::string_view& rest, uint64_t& value, double& scale) {
  for (bool full = false; !rest.empty() && IsDigit(rest[0]); rest.remove_prefix(1)) {
    const uint64_t next = value * 10 + static_cast<uint64_t>(rest[0] - '0');
    full = full || value > (kMax - 1) / 10 || next > kMax;
    if (full) continue;
    value = next;
    scale *= 10;
  }
}

const Unit* FindUnit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

StatusOr<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  const auto invalid = [&](std::string_view what = "invalid duration ") {
    return InvalidArgumentError(fmt::format("time: {}{}", what, Quoted(text)));
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return std::chrono::nanoseconds(0);
  if (rest.empty()) return invalid();
  uint64_t total = 0;
  while (!rest.empty()) {
    uint64_t value = 0, fraction = 0;
    double scale = 1;
    size_t before = rest.size();
    if (!TakeInteger(rest, value)) return invalid();
    bool digits = rest.size() < before;
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      before = rest.size();
      TakeFraction(rest, fraction, scale);
      digits = digits || rest.size() < before;
    }
    if (!digits) return invalid();
    const std::string_view name = rest.substr(0, rest.find_first_of(".0123456789"));
    if (name.empty()) return invalid("missing unit in duration ");
    rest.remove_prefix(name.size());
    const Unit* unit = FindUnit(name);
    if (unit == nullptr) return invalid(fmt::format("unknown unit {} in duration ", Quoted(name)));
    if (value > kMax / unit->nanos) return invalid();
    value *= unit->nanos;
    if (fraction > 0) {
      value += static_cast<uint64_t>(static_cast<double>(fraction) *
                                     (static_cast<double>(unit->nanos) / scale));
    }
    total += value;  // of two terms, each at most kMax and an hour: no overflow
    if (value > kMax || total > kMax) return invalid();
  }
  if (!negative && total == kMax) return invalid();
  return std::chrono::nanoseconds(static_cast<int64_t>(negative ? 0 - total : total));
}

}  // namespace strata::base
