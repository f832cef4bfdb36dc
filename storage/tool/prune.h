// `strata-storage prune`: the oldest of a directory's snapshots go, for who takes one every few
// hours.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace strata::tool {

struct PruneOptions {
  std::string directory{};
  // Only files whose name begins so: others are somebody else's, or are meant to be kept.
  std::string prefix{};
  size_t keep = 0;  // at least 1
  // Bytes that the directory's file system has left; empty: it is asked.
  std::function<int64_t()> room{};
};

struct Pruned {
  std::vector<std::string> removed, kept;  // names, oldest first
};

// Removes files PREFIX*.db but for the newest `keep`, or fewer: until a snapshot half as large
// again as the newest has room. The newest stays. What an etcdctl that was ended left,
// PREFIX*.db.part, goes too, once nobody has written to it for an hour.
base::StatusOr<Pruned> Prune(const PruneOptions& options);

}  // namespace strata::tool
