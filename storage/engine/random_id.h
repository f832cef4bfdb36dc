// Ids that nobody else has chosen.
#pragma once

#include <cstdint>
#include <random>

namespace strata::engine {

// Greater than 0.
inline int64_t RandomId() {
  std::random_device device;
  return std::uniform_int_distribution<int64_t>(1, INT64_MAX)(device);
}

}  // namespace strata::engine
