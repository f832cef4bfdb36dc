// Files that are read whole, and what stands in folders.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "lib/base/status.h"

namespace strata::base {

// How long a pipe or a terminal may take to come to its end.
constexpr std::chrono::seconds kLongestRead{2};

// The whole file; an error that names it when it can't be read or is larger than `max_bytes`.
// Whatever the path names, it is back within kLongestRead (but for a file system that hangs).
StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// In no order. With an error what was found before it: std's own loop over a folder throws where
// the disk or the network fails behind its first part.
std::vector<std::filesystem::directory_entry> ListFolder(const std::filesystem::path& path,
                                                         std::error_code& error);

}  // namespace strata::base
