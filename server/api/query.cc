#include "server/api/query.h"

#include <algorithm>

namespace strata::api {
namespace {

// More than any client sends, and what a watch keeps; what follows is ignored.
constexpr size_t kMaxPairs = 100;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> Unescape(std::string_view text, bool plus) {
  const bool escaped = text.find('%') != text.npos || (plus && text.find('+') != text.npos);
  if (!escaped) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return out;
}

Query::Query(std::string_view raw) {
  while (!raw.empty() && pairs_.size() < kMaxPairs) {
    const size_t end = raw.find('&');
    const std::string_view pair = raw.substr(0, end);
    raw = end == std::string_view::npos ? std::string_view() : raw.substr(end + 1);
    if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
    const size_t equals = pair.find('=');
    auto name = Unescape(pair.substr(0, equals), true);
    auto value = Unescape(
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (name && value) pairs_.emplace_back(*std::move(name), *std::move(value));
  }
}

std::optional<std::string_view> Query::Find(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> Query::All(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::string WithoutToken(std::string_view target) {
  size_t at = std::min(target.find('?'), target.size());
  std::string shown(target.substr(0, at));
  while (at < target.size()) {
    // What stands before a parameter, the parameter's name, and the rest of it.
    const size_t end = std::min(target.find_first_of("&;", at + 1), target.size());
    const size_t equals = std::min(target.find('=', at), end);
    shown += target.substr(at, equals - at);
    const bool is_token = Unescape(target.substr(at + 1, equals - at - 1), true) == "access_token";
    shown += is_token && equals < end ? "=redacted" : target.substr(equals, end - equals);
    at = end;
  }
  return shown;
}

}  // namespace strata::api
