// How thoroughly tests damage files: by themselves they take a stride, so as to be done in seconds.
#pragma once

#include <cstdlib>

namespace strata::testing_support {

// STRATA_EVERY_BIT=1 (./dev soak long bits): each bit of each file, which takes up to half an hour.
inline bool EveryBit() {
  return std::getenv("STRATA_EVERY_BIT") != nullptr;
}

}  // namespace strata::testing_support
