// HTTP/2 by hand, for tables of what a peer sends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace strata::testing_support {

inline constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7,
                         kWindowUpdate = 8;
inline constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

// RFC 9113 §3.4.
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113 §4.1.
inline std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame;
  for (const size_t shift : {16, 8, 0}) frame += static_cast<char>(payload.size() >> shift);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (const size_t shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
  return frame.append(payload);
}

// RFC 7541 §6.2.2, without Huffman's code; each of less than 127 bytes.
inline std::string Literal(std::string_view name, std::string_view value) {
  std::string field(1, '\0');
  for (const std::string_view text : {name, value})
    field.append(1, static_cast<char>(text.size())).append(text);
  return field;
}

}  // namespace strata::testing_support
