// What a store is at the moment besides its tables: made at its opening, kept by the writing
// thread, seen by everybody. Each part synchronises itself.
#pragma once

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "storage/engine/alarms.h"
#include "storage/engine/health.h"
#include "storage/engine/leases.h"
#include "storage/engine/options.h"
#include "storage/engine/published.h"
#include "storage/engine/quota.h"
#include "storage/engine/store_metrics.h"

namespace strata::engine {

struct State {
  State(const Options& options, const base::Clock& clock, const obs::Logger& log,
        obs::Metrics& registry)
      : metrics(registry),
        alarms(log, registry),
        health(log),
        published(metrics),
        quota(options.quota_bytes, metrics),
        leases(clock) {}

  const StoreMetrics metrics;
  Alarms alarms;
  Health health;
  Published published;
  Quota quota;
  Leases leases;
};

}  // namespace strata::engine
