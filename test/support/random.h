// Random numbers that are the same on every machine and for ever: the standard library's
// distributions aren't.
#pragma once

#include <cstdint>
#include <string>

namespace strata::testing_support {

// SplitMix64. Cheap to seed, so that each generated thing can have a generator of its own, by its
// number.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // A generator for thing number `index` of a series `seed`.
  Random(uint64_t seed, uint64_t series, uint64_t index) : state_(seed) {
    state_ = Next() ^ (series * 0x9e3779b97f4a7c15u);
    state_ = Next() ^ index;
    Next();
  }

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t Below(uint64_t limit) { return Next() % limit; }
  int64_t Between(int64_t low, int64_t high) {  // both included
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low + 1)));
  }
  bool Chance(double probability) {
    return static_cast<double>(Next() >> 11) < probability * 0x1p53;
  }

  // `digits` of lower-case hexadecimal.
  std::string Hex(size_t digits) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text(digits, '0');
    uint64_t bits = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (i % 16 == 0) bits = Next();
      text[i] = kDigits[bits & 15];
      bits >>= 4;
    }
    return text;
  }

  template <typename T, size_t N>
  const T& Pick(const T (&from)[N]) {
    return from[Below(N)];
  }

 private:
  uint64_t state_;
};

}  // namespace strata::testing_support
