#include "lib/codec/json_writer.h"

#include <array>
#include <charconv>
#include <limits>

namespace strata::codec {

void JsonWriter::Number(int64_t number) {
  std::array<char, std::numeric_limits<int64_t>::digits10 + 2> text;  // with its sign
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  Value().append(text.data(), end);
}

}  // namespace strata::codec
