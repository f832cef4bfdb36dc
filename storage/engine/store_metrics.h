// What a store counts, under etcd's names where etcd counts the same.
#pragma once

#include "lib/obs/metrics.h"

namespace strata::engine {

// Registered at construction; each is thread-safe.
struct StoreMetrics {
  explicit StoreMetrics(obs::Metrics& metrics);

  const obs::Counter writes, applied, commits;
  const obs::Histogram commit_seconds, fsync_seconds;
  const obs::Gauge revision, compacted;
  const obs::Gauge file_bytes, used_bytes, quota_bytes, wal_pending_bytes;
  const obs::Gauge pending_writes;
  const obs::Counter refused_writes;
};

}  // namespace strata::engine
