// When each lease ends. Which leases there are, and their keys, is in the store; the deadlines are
// only here, and start anew with the process, as etcd's do.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "lib/base/clock.h"

namespace strata::engine {

// Thread-safe.
class Leases {
 public:
  explicit Leases(const base::Clock& clock) : clock_(clock) {}

  // TTLs are seconds.
  void Add(int64_t id, int64_t ttl) ABSL_LOCKS_EXCLUDED(mu_);
  void Remove(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);

  // The TTL that it has again from now on; nothing if it has ended.
  std::optional<int64_t> KeepAlive(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // Whole seconds that are left.
  std::optional<int64_t> Remaining(int64_t id) const ABSL_LOCKS_EXCLUDED(mu_);

  // At most `limit` leases that have ended, and that nobody can keep alive any more. Each is given
  // once, unless Postpone says that its keys couldn't be deleted yet.
  std::vector<int64_t> TakeEnded(size_t limit) ABSL_LOCKS_EXCLUDED(mu_);
  void Postpone(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);

  bool empty() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Lease {
    int64_t ttl = 0;
    base::MonotonicTime deadline;
    bool ended = false;
  };

  const base::Clock& clock_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<int64_t, Lease> leases_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<base::MonotonicTime, int64_t>> by_deadline_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::engine
