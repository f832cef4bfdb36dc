// Looking at everything that the store holds, to find damage before somebody needs the record.
#pragma once

#include <cstdint>

#include "lib/base/status.h"
#include "storage/engine/tree/txn.h"

namespace strata::engine {

struct Verified {
  int64_t changes = 0;  // in the history
  int64_t bytes = 0;    // of all records
};

// Reads all tables: checksums, the order of keys, and that the history and the index name each
// other. DataLoss names the first thing that is wrong, Aborted passes Txn::GiveWay on. Takes about
// a second for a million records.
base::StatusOr<Verified> VerifyTables(const tree::Txn& txn);

}  // namespace strata::engine
