// Letters of ASCII: names of headers, hosts and methods, whatever the locale.
#pragma once

#include <string>
#include <string_view>

namespace strata::base {

inline std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace strata::base
