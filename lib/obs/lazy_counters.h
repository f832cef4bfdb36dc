// Counters of one family that are made when they count first, so that what never happened isn't
// shown.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>

#include "lib/obs/metrics.h"

namespace strata::obs {

// Thread-safe. Once made, a counter costs one load to find.
template <size_t kCount>
class LazyCounters {
 public:
  LazyCounters() = default;
  LazyCounters(const LazyCounters&) = delete;
  LazyCounters& operator=(const LazyCounters&) = delete;
  ~LazyCounters() {
    for (const auto& place : counters_) delete place.load(std::memory_order_relaxed);
  }

  // The counter at `index`, which is less than kCount; `make` says which it is, and gives the same
  // each time.
  template <typename Make>
  const Counter& At(size_t index, const Make& make) {
    std::atomic<const Counter*>& place = counters_[index];
    const Counter* counter = place.load(std::memory_order_acquire);
    if (counter != nullptr) return *counter;
    auto made = std::make_unique<const Counter>(make());
    // Of two threads that come at the same time one takes the other's.
    if (place.compare_exchange_strong(counter, made.get(), std::memory_order_acq_rel))
      counter = made.release();
    return *counter;
  }

 private:
  std::array<std::atomic<const Counter*>, kCount> counters_{};  // owned
};

}  // namespace strata::obs
