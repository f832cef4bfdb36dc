// How tests wait for what others do.
#pragma once

#include <chrono>
#include <thread>

namespace strata::testing_support {

inline std::chrono::steady_clock::time_point In(std::chrono::steady_clock::duration time) {
  return std::chrono::steady_clock::now() + time;
}

// Whether `is_so` is true before that time is over; it is asked about once a millisecond.
template <typename Condition>
bool Eventually(const Condition& is_so,
                std::chrono::steady_clock::duration within = std::chrono::seconds(20)) {
  for (const auto until = In(within); !is_so();) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace strata::testing_support
