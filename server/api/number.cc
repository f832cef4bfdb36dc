#include "server/api/number.h"

#include <fmt/format.h>

#include <optional>

#include "server/api/quote.h"

namespace strata::api {
namespace {

enum class Wrong { kSyntax, kRange };

base::Status Error(std::string_view function, std::string_view text, Wrong wrong) {
  const bool syntax = wrong == Wrong::kSyntax;
  return base::Error(syntax ? base::StatusCode::kInvalidArgument : base::StatusCode::kOutOfRange,
                     fmt::format("strconv.{}: parsing {}: {}", function, Quote(text),
                                 syntax ? "invalid syntax" : "value out of range"));
}

// The value of `digits`, or what is wrong first: digits behind those that are too many aren't
// looked at.
std::optional<Wrong> ReadDigits(std::string_view digits, uint64_t& value) {
  if (digits.empty()) return Wrong::kSyntax;
  for (const char c : digits) {
    if (c < '0' || c > '9') return Wrong::kSyntax;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return Wrong::kRange;
    value = value * 10 + digit;
  }
  return std::nullopt;
}

}  // namespace

base::StatusOr<uint64_t> ParseUint(std::string_view text) {
  uint64_t value = 0;
  if (const auto wrong = ReadDigits(text, value)) return Error("ParseUint", text, *wrong);
  return value;
}

base::StatusOr<int64_t> ParseInt(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative || text.starts_with('+') ? 1 : 0);
  uint64_t value = 0;
  if (const auto wrong = ReadDigits(digits, value)) return Error("ParseInt", text, *wrong);
  const uint64_t most = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (value > most) return Error("ParseInt", text, Wrong::kRange);
  return static_cast<int64_t>(negative ? 0 - value : value);
}

base::StatusOr<uint64_t> ParseResourceVersion(std::string_view text) {
  if (text.empty()) return 0;
  auto revision = ParseUint(text);
  if (revision.ok()) return revision;
  return base::Annotate(revision.status(),
                        fmt::format("resourceVersion: Invalid value: {}", Quote(text)));
}

}  // namespace strata::api
