// Which alarms are on, as everybody sees them; what outlives a restart is in the meta table.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

// Thread-safe. The writing thread sets what it has committed; whoever meets damage adds kCorrupt.
class Alarms {
 public:
  Alarms(const obs::Logger& log, obs::Metrics& metrics);

  bool on(Alarm alarm) const {
    return (bits_.load(std::memory_order_relaxed) & static_cast<uint32_t>(alarm)) != 0;
  }

  // As a store that is opened has them.
  void Restore(int64_t bits) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether it was the other way.
  bool Set(Alarm alarm, bool on) ABSL_LOCKS_EXCLUDED(mu_);

  // Raises kCorrupt until somebody ends it or the store is opened anew, and logs why if it wasn't
  // on.
  void NoteDamage(const base::Status& why) ABSL_LOCKS_EXCLUDED(mu_);

  // Passes a result of reading on, and notes the damage that it tells of.
  template <typename Result>
  base::StatusOr<Result> Noted(base::StatusOr<Result> result) {
    if (absl::IsDataLoss(result.status())) NoteDamage(result.status());
    return result;
  }
  // The same of what was read in `txn`, which is to be wholly read.
  template <typename Result>
  base::StatusOr<Result> Noted(const tree::Txn& txn, base::StatusOr<Result> result) {
    if (const base::Status whole = txn.Whole(); !whole.ok()) return Noted<Result>(whole);
    return Noted(std::move(result));
  }

 private:
  void Write(uint32_t bits) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const obs::Logger& log_;
  const obs::Gauge no_space_, corrupt_;
  absl::Mutex mu_;  // held by who writes, so that the gauges say the same
  std::atomic<uint32_t> bits_ = 0;
};

}  // namespace strata::engine
