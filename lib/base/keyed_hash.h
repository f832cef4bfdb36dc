// A hash of bytes that others choose, for tables that only grow with them.
#pragma once

#include <cstdint>
#include <string_view>

namespace strata::base {

// SipHash-2-4 under a key that each process draws for itself: who doesn't know it can't find texts
// that fall together. absl's hash of 17 bytes or more has such texts whatever its seed is
// (low_level_hash.cc: a product is 0 where its one factor is a constant of the library). 20 ns for
// a digest. Thread-safe.
uint64_t KeyedHash(std::string_view bytes);

}  // namespace strata::base
