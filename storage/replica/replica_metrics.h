// What a replica counts.
#pragma once

#include "lib/obs/metrics.h"

namespace strata::replica {

// Registered at construction; each is thread-safe.
struct ReplicaMetrics {
  explicit ReplicaMetrics(obs::Metrics& metrics);

  const obs::Gauge ready;
  const obs::Gauge records, history_bytes;
  const obs::Gauge oldest, newest;
  const obs::Gauge file_bytes, used_bytes;
  const obs::Counter lists, lists_unchanged, errors;
  const obs::Counter backend_reads;
};

}  // namespace strata::replica
