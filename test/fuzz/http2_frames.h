// A fuzz target's input as HTTP/2's frames: by chance their lengths are never right.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "test/fuzz/input.h"

namespace strata::fuzz {

// Of the input a byte each for type, flags, stream and length, then the payload, and so on.
inline std::string Http2Frames(std::string_view input) {
  constexpr uint8_t kTypes = 17;  // PRIORITY_UPDATE (RFC 9218) is the last
  std::string bytes;
  while (input.size() > 4) {
    const size_t size = std::min<size_t>(static_cast<uint8_t>(input[3]), input.size() - 4);
    const auto type = static_cast<char>(static_cast<uint8_t>(input[0]) % kTypes);
    const auto stream = static_cast<char>(input[2] & 15);
    bytes.append({0, 0, static_cast<char>(size), type, input[1], 0, 0, 0, stream});
    bytes.append(input.substr(4, size));
    input.remove_prefix(4 + size);
  }
  return bytes;
}

// What a server sends, and in pieces of which size it comes.
struct ServerBytes {
  std::string bytes;
  size_t part = 0;
};

// A byte says how: its lowest two bits the pieces, the next that it is frames behind SETTINGS.
inline ServerBytes ServerBytesOf(Input& input) {
  const uint8_t mode = input.Byte();
  std::string bytes(input.Rest());
  if ((mode & 4) != 0) bytes = std::string("\0\0\0\4\0\0\0\0\0", 9) + Http2Frames(bytes);
  const size_t whole = bytes.size() + 1;
  return {std::move(bytes), std::array<size_t, 4>{whole, 1, 13, 64}[mode & 3]};
}

}  // namespace strata::fuzz
