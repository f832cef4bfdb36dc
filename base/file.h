// Files that are read whole.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace strata::base {

// The whole file; an error that names it when it can't be read or is larger than `max_bytes`.
StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

}  // namespace strata::base
