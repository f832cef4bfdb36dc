// Files that are read whole.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "lib/base/status.h"

namespace strata::base {

// How long a pipe or a terminal may take to come to its end.
constexpr std::chrono::seconds kLongestRead{2};

// The whole file; an error that names it when it can't be read or is larger than `max_bytes`.
// Whatever the path names, it is back within kLongestRead (but for a file system that hangs).
StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

}  // namespace strata::base
