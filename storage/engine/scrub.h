// Giving back the space of what a compaction forgot, in small steps between writes.
#pragma once

#include <cstddef>

#include "lib/base/status.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

struct Scrubbed {
  bool finished = false;  // all of it is done, also after a restart
  base::Status damage;    // what was met of it, and left where it is with what it superseded
};

// Looks at up to `max_changes` changes (and the rest of the revision it is in then), from where the
// last step ended, and removes what they superseded at or below the compacted revision.
//
// What a read at the compacted revision needs stays, and so does a deletion at exactly that
// revision, because a watch may start there.
base::StatusOr<Scrubbed> ScrubStep(tree::Txn& txn, size_t max_changes);

// ScrubStep has nothing to do.
base::StatusOr<bool> IsScrubbed(const tree::Txn& txn);

}  // namespace strata::engine
