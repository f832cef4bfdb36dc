// Go's time.ParseDuration: "300ms", "-1.5h", "1h15m30.918s".
#pragma once

#include <chrono>
#include <string_view>

#include "lib/base/status.h"

namespace strata::base {

// An error has Go's text: time: invalid duration "xyz".
StatusOr<std::chrono::nanoseconds> ParseDuration(std::string_view text);

}  // namespace strata::base
