// Doing a batch of writes in one transaction, and what became of it.
#pragma once

#include "lib/base/status.h"
#include "storage/engine/alarms.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/types.h"
#include "storage/engine/write.h"

namespace strata::engine {

// All of the batch shares this. Unless it is kCommitted or kUnchanged, nothing of it is visible and
// no write has its answer.
struct Outcome {
  enum class End {
    kCommitted,   // durable, and visible to reads that begin from now on
    kUnchanged,   // there was nothing to commit: each write found its answer
    kMapFull,     // there is no room in the map
    kDiskFull,    // or on the disk
    kSpoilt,      // by damage, or by one of the writes
    kDiskFailed,  // nobody knows what the disk holds
  };
  End end = End::kUnchanged;
  base::Status why{};  // OK if each write has its answer

  // Of kCommitted: the newest revision, where history begins, and whether that is new.
  Revision revision = 0;
  Revision compacted = 0;
  bool compacts = false;
};

// Once, on the writing thread. Damage raises kCorrupt.
Outcome TryCommit(tree::Environment& env, const Batch& batch, Alarms& alarms);

}  // namespace strata::engine
