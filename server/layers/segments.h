// An array that grows without moving what it holds.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace strata::layers {

// One thread grows it. Another may use an element that it knows of through a lock or the like: its
// segment was there before, and no other is touched.
//
// Each segment is twice as long as the one before, so the directory is a few pointers, and what
// isn't used yet of the last one costs address space but no memory.
template <typename T>
class Segments {
 public:
  Segments() = default;
  ~Segments() {
    for (T* segment : segments_) delete[] segment;
  }
  Segments(const Segments&) = delete;
  Segments& operator=(const Segments&) = delete;

  static constexpr uint32_t kMaxSize = 0x7FFFFC00;

  // Makes room for element `index`, uninitialised if T is trivial, when the last one was index - 1.
  void Extend(uint32_t index) {
    const uint32_t segment = SegmentOf(index);
    if (segments_[segment] == nullptr) segments_[segment] = new T[size_t{kFirst} << segment];
  }

  T& operator[](uint32_t index) {
    const uint32_t segment = SegmentOf(index);
    return segments_[segment][index + kFirst - (kFirst << segment)];
  }
  const T& operator[](uint32_t index) const { return const_cast<Segments&>(*this)[index]; }

 private:
  static constexpr uint32_t kFirst = 1024;
  static uint32_t SegmentOf(uint32_t index) {
    return static_cast<uint32_t>(std::bit_width(index + kFirst) - std::bit_width(kFirst));
  }

  std::array<T*, 21> segments_{};
};

}  // namespace strata::layers
