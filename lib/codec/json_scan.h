// For those who walk over JSON without parsing it.
#pragma once

#include <cstddef>
#include <string_view>

namespace strata::codec {

// Where the string ends that begins with the quote at `start`: at its other quote. Where it has
// none, at the line feed that no string holds, or at `json`'s size.
inline size_t JsonStringEnd(std::string_view json, size_t start) {
  size_t at = start + 1;
  while (at < json.size() && json[at] != '"' && json[at] != '\n') at += json[at] == '\\' ? 2 : 1;
  return at < json.size() ? at : json.size();
}

}  // namespace strata::codec
