// Threads that somebody can do without, or can fail without.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "lib/base/status.h"

namespace strata::base {

// Unavailable where the system denies it; std::thread's own constructor throws there.
template <typename Run>
StatusOr<std::thread> StartThread(Run run) {
  try {
    return std::thread(std::move(run));
  } catch (const std::system_error&) {
    return UnavailableError("the system denies a thread");
  }
}

}  // namespace strata::base
