// The bytes that records may take, and what each write is charged for.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "storage/engine/store_metrics.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/types.h"

namespace strata::engine {

// etcd storage/quota.go: 0 for what puts nothing, and so is done whatever is used.
size_t CostOf(const PutRequest& request);
size_t CostOf(const TxnRequest& request);
size_t CostOf(const LeaseGrantRequest& request);
template <typename Request>
size_t CostOf(const Request& /*request*/) {
  return 0;
}

// Any thread may ask; the writing thread measures.
class Quota {
 public:
  // 0: no limit.
  Quota(int64_t most_bytes, const StoreMetrics& metrics)
      : most_bytes_(most_bytes), metrics_(metrics) {
    metrics_.quota_bytes.Set(static_cast<double>(most_bytes));
  }

  bool Fits(size_t cost) const {
    return most_bytes_ <= 0 || used_bytes() + static_cast<int64_t>(cost) <= most_bytes_;
  }
  // Of pages, when it was measured last.
  int64_t used_bytes() const { return used_bytes_; }

  // Notes what is used now, here and in the metrics.
  void Measure(tree::Environment& env);

 private:
  const int64_t most_bytes_;
  const StoreMetrics& metrics_;
  std::atomic<int64_t> used_bytes_ = 0;
};

}  // namespace strata::engine
