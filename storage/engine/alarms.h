// Which alarms are on, as everybody sees them; what outlives a restart is in the meta table.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

// Thread-safe. The writing thread sets what it has committed; whoever meets damage adds kCorrupt.
class Alarms {
 public:
  explicit Alarms(const obs::Logger& log) : log_(log) {}

  bool on(Alarm alarm) const {
    return (bits_.load(std::memory_order_relaxed) & static_cast<uint32_t>(alarm)) != 0;
  }

  // As a store that is opened has them.
  void Restore(int64_t bits) { bits_ = static_cast<uint32_t>(bits); }
  // Whether it was the other way.
  bool Set(Alarm alarm, bool on);

  // Raises kCorrupt until somebody ends it or the store is opened anew, and logs why if it wasn't
  // on.
  void NoteDamage(const base::Status& why);

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
  const obs::Logger& log_;
  std::atomic<uint32_t> bits_ = 0;
};

}  // namespace strata::engine
