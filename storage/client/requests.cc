#include "storage/client/requests.h"

#include <algorithm>

namespace strata::client {

bool OnlyReads(const Txn& txn) {
  const auto reads = [](const Operation& one) { return std::holds_alternative<RangeOptions>(one); };
  return std::all_of(txn.success.begin(), txn.success.end(), reads) &&
         std::all_of(txn.failure.begin(), txn.failure.end(), reads);
}

Txn IfUnchanged(const std::vector<Change>& changes) {
  Txn txn;
  for (const Change& change : changes) {
    txn.compares.push_back({.key = change.key, .number = change.expected});
    txn.success.push_back(Put{change.key, change.value});
  }
  // As Kubernetes changes one key (etcd client/v3/kubernetes), which is all that kine takes.
  if (changes.size() == 1 && changes[0].expected != 0)
    txn.failure.push_back(RangeOptions{.key = changes[0].key});
  return txn;
}

}  // namespace strata::client
