#include "storage/engine/leases.h"

#include <algorithm>
#include <chrono>

namespace strata::engine {

using std::chrono::seconds;

void Leases::Add(int64_t id, int64_t ttl) {
  absl::MutexLock lock(&mu_);
  const auto deadline = clock_.Now() + seconds(ttl);
  leases_[id] = {.ttl = ttl, .deadline = deadline};
  by_deadline_.emplace(deadline, id);
}

void Leases::Remove(int64_t id) {
  absl::MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end()) return;
  by_deadline_.erase({found->second.deadline, id});
  leases_.erase(found);
}

std::optional<int64_t> Leases::KeepAlive(int64_t id) {
  absl::MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end() || found->second.ended) return std::nullopt;
  Lease& lease = found->second;
  by_deadline_.erase({lease.deadline, id});
  lease.deadline = clock_.Now() + seconds(lease.ttl);
  by_deadline_.emplace(lease.deadline, id);
  return lease.ttl;
}

std::optional<int64_t> Leases::Remaining(int64_t id) const {
  absl::MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end()) return std::nullopt;
  const auto left = std::chrono::ceil<seconds>(found->second.deadline - clock_.Now()).count();
  return std::max<int64_t>(left, 0);
}

std::vector<int64_t> Leases::TakeEnded(size_t limit) {
  absl::MutexLock lock(&mu_);
  const auto now = clock_.Now();
  std::vector<int64_t> ended;
  while (ended.size() < limit && !by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const int64_t id = by_deadline_.begin()->second;
    by_deadline_.erase(by_deadline_.begin());
    leases_[id].ended = true;
    ended.push_back(id);
  }
  return ended;
}

void Leases::Postpone(int64_t id) {
  absl::MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end()) return;
  found->second.deadline = clock_.Now() + seconds(1);
  by_deadline_.emplace(found->second.deadline, id);
}

bool Leases::empty() const {
  absl::MutexLock lock(&mu_);
  return leases_.empty();
}

}  // namespace strata::engine
