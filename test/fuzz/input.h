// A fuzz target's input as the values that it is made of, front to back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace strata::fuzz {

// Once it is used up numbers are 0 and texts empty.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return left_.empty(); }

  uint8_t Byte() {
    if (left_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(left_.front());
    left_.remove_prefix(1);
    return byte;
  }
  // Its length stands in front: a byte, or two behind a byte of ones.
  std::string_view Text() {
    size_t size = Byte();
    if (size == 0xff) {
      size = size_t{Byte()} << 8;
      size |= Byte();
    }
    return Take(size);
  }
  std::string_view Rest() { return Take(left_.size()); }

 private:
  std::string_view Take(size_t size) {
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view left_;
};

}  // namespace strata::fuzz
