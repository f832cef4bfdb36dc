// What the system says of the disk.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::engine::tree {

// Of errno, naming what was tried: PermissionDenied or FailedPrecondition.
base::Status SystemError(std::string_view what);

// Whether that errno says that there is no room. EFBIG is what a limit on file sizes gives.
bool IsDiskFull(int code);

// Makes the names in a directory durable.
base::Status SyncDirectory(const std::string& path);

}  // namespace strata::engine::tree
