// Whether a file is a store of this version's format, or may become one.
#pragma once

#include "lib/base/status.h"
#include "storage/engine/tree/environment.h"

namespace strata::engine {

// Makes an empty file a store with ids of its own, and gives an older format this version's number.
// FailedPrecondition if it has a format that this version doesn't know, or was never finished. On
// the thread that opens it.
base::Status AdoptFormat(tree::Environment& env);

}  // namespace strata::engine
