// A revision at which nothing was written.
#pragma once

#include "lib/base/status.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

// Makes `at` the newest revision of the store, which is at an earlier one, and its compacted one.
base::Status PutMarker(tree::Txn& txn, Revision at);

}  // namespace strata::engine
