#include "storage/engine/quota.h"

#include <algorithm>

namespace strata::engine {
namespace {

constexpr size_t kPutOverhead = 256;
constexpr size_t kLeaseOverhead = 64;

size_t CostOfOp(const Op& op) {
  if (const auto* put = std::get_if<PutRequest>(&op.request)) return CostOf(*put);
  if (const auto* txn = std::get_if<TxnRequest>(&op.request)) return CostOf(*txn);
  return 0;
}

}  // namespace

size_t CostOf(const PutRequest& request) {
  return kPutOverhead + request.key.size() + request.value.size();
}

size_t CostOf(const TxnRequest& request) {
  size_t success = 0, failure = 0;
  for (const Op& op : request.success) success += CostOfOp(op);
  for (const Op& op : request.failure) failure += CostOfOp(op);
  return std::max(success, failure);
}

size_t CostOf(const LeaseGrantRequest& /*request*/) {
  return kLeaseOverhead;
}

void Quota::Measure(tree::Environment& env) {
  metrics_.wal_pending_bytes.Set(static_cast<double>(env.logged_bytes()));
  const auto usage = env.Measure();
  if (!usage.ok()) return;
  used_bytes_ = usage->used_bytes;
  metrics_.file_bytes.Set(static_cast<double>(usage->file_bytes));
  metrics_.used_bytes.Set(static_cast<double>(usage->used_bytes));
}

}  // namespace strata::engine
