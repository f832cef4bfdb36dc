// `strata-storage restore`: a data directory from a snapshot (`etcdctl snapshot save`).
#pragma once

#include <string>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"

namespace strata::tool {

struct RestoreOptions {
  // Added to the snapshot's revision, and all before that marked as compacted. 0: neither.
  base::Revision bump_revision = 0;
};

struct Restored {
  base::Revision revision = 0;
  int64_t bytes = 0;
};

// Makes `directory`, which must not be there or be empty, the store that `file` is a snapshot of.
// The checksum at the file's end is verified, and all of the store, before it says yes; after an
// error nothing is left behind. A snapshot of an etcd's is imported. The store is a new one, with
// another cluster id. Forks: from one thread.
base::StatusOr<Restored> Restore(const std::string& file, const std::string& directory,
                                 const RestoreOptions& options, const base::Clock& clock);

}  // namespace strata::tool
