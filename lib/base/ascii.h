// Text of ASCII, as protocols and flags have it: names of headers and methods, lists with commas.
// Whatever the locale.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace strata::base {

inline char LowerOf(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = LowerOf(c);
  return lower;
}

// `lower` has no capital letters.
inline bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return LowerOf(a) == b; });
}

// `text` without what of `around` stands at its ends.
inline std::string_view Trim(std::string_view text, std::string_view around = " ") {
  // Not find(): a call for each character would cost more than all of the rest.
  const auto is_around = [around](char c) {
    for (const char one : around)
      if (c == one) return true;
    return false;
  };
  while (!text.empty() && is_around(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_around(text.back())) text.remove_suffix(1);
  return text;
}

// What stands before the first `separator` of `rest`, or all of it; takes both away.
inline std::string_view TakeUntil(char separator, std::string_view& rest) {
  const size_t at = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

}  // namespace strata::base
