// What is wrong with a request by itself, whatever the store holds.
#pragma once

#include <cstddef>

#include "lib/base/status.h"
#include "storage/engine/types.h"

namespace strata::engine {

base::Status Check(const RangeRequest& request);
base::Status Check(const PutRequest& request);
base::Status Check(const DeleteRequest& request);
// `max_ops` bounds each list of the transaction, and lists of nested ones by what is left (etcd's
// --max-txn-ops). A key that could change twice is refused: etcd lets a nested delete follow a
// nested put of the same key; here no key changes twice in a revision.
base::Status Check(const TxnRequest& request, size_t max_ops);

// No branch of it, however the compares turn out, writes.
bool IsReadOnly(const TxnRequest& request);

}  // namespace strata::engine
