// How much there may be of what all clients share, in all and while memory is short.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace strata::base {

// Whether the process is near the memory that it may take (obs::MemoryWatch says so). Thread-safe.
class MemoryPressure {
 public:
  bool high() const { return high_.load(std::memory_order_relaxed); }
  void Set(bool high) { high_.store(high, std::memory_order_relaxed); }

 private:
  std::atomic<bool> high_ = false;
};

// A bound, in bytes mostly. All of them together are more than a small machine has, since clients
// seldom come near one of them: where they do, each gives way.
class Limit {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a bound is written as its number
  Limit(size_t most) : most_(most) {}

  // `memory` outlives it, and its copies.
  void GiveWayTo(const MemoryPressure& memory) { memory_ = &memory; }

  // What there may be where there is `held` already: while memory is short nothing grows beyond a
  // sixteenth of the bound, and what is there may stay.
  size_t Of(size_t held) const {
    if (memory_ == nullptr || !memory_->high()) return most_;
    return std::max(most_ / kPartUnderPressure, std::min(held, most_));
  }

  // For flags, which set it.
  size_t& most() { return most_; }
  size_t most() const { return most_; }

 private:
  static constexpr size_t kPartUnderPressure = 16;

  size_t most_;
  const MemoryPressure* memory_ = nullptr;
};

}  // namespace strata::base
