// Sums of sizes that others' records say, which may say anything.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace strata::base {

// `sum`, at least 0, and `size` more. Less than nothing is nothing, and a sum ends at the most that
// can be said: so sums only grow, and of parts that are taken apart again none is below 0.
constexpr int64_t AddSize(int64_t sum, int64_t size) {
  return sum + std::clamp(size, int64_t{0}, std::numeric_limits<int64_t>::max() - sum);
}

}  // namespace strata::base
