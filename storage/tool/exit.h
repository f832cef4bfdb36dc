// How the tool's commands end when they can't do what they should.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "lib/base/bytes.h"

namespace strata::tool {

inline constexpr int kFailed = 1, kBadUsage = 2;

// One line on stderr; returns the exit code.
inline int Fail(std::string_view message, int exit_code = kFailed) {
  fmt::print(stderr, "strata-storage: {}\n", base::Printable(message, 1000));
  return exit_code;
}

}  // namespace strata::tool
