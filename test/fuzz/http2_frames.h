// A fuzz target's input as HTTP/2's frames: by chance their lengths are never right.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

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

}  // namespace strata::fuzz
