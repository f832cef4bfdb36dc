// Forgetting old revisions by itself (etcd server/etcdserver/api/v3compactor).
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "storage/engine/store.h"

namespace strata::serve {

struct CompactionPolicy {
  std::chrono::milliseconds period{0};  // history of this time is kept; 0: see below
  base::Revision revisions = 0;         // or this many revisions are; 0: all
  bool enabled() const { return period.count() > 0 || revisions > 0; }

  // --auto-compaction-mode and --auto-compaction-retention: a number of revisions; or a time such
  // as 30m, where a bare number means hours.
  static base::StatusOr<CompactionPolicy> Parse(std::string_view mode, std::string_view retention);
};

// When to compact, and to which revision: what is asked every interval(), and again at the next
// one until it is done.
class CompactionPlan {
 public:
  CompactionPlan(const CompactionPolicy& policy, base::MonotonicTime now);

  std::chrono::milliseconds interval() const { return interval_; }
  // Nothing: not now.
  std::optional<base::Revision> Tick(base::MonotonicTime now, base::Revision current);
  // It is compacted to that revision, or further.
  void Done(base::MonotonicTime now, base::Revision to);

 private:
  const CompactionPolicy policy_;
  const std::chrono::milliseconds interval_;
  const size_t kept_;  // revisions that are remembered
  base::MonotonicTime due_;
  base::Revision last_ = 0;          // compacted to
  std::deque<base::Revision> seen_;  // one an interval, oldest first
};

// One look at it, for Periodic; what is refused is logged.
void CompactIfDue(CompactionPlan& plan, engine::Store& store, base::MonotonicTime now,
                  const obs::Logger& log);

}  // namespace strata::serve
