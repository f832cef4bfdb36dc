// The leases that are granted, and the keys that end with them, on disk.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/tree/txn.h"

namespace strata::engine {

// TTLs that can be asked for, in seconds, as etcd bounds them with its default election timeout.
// What has a longer one on disk, or none, is damaged.
inline constexpr int64_t kMinLeaseTtl = 2;
inline constexpr int64_t kMaxLeaseTtl = 9'000'000'000;

// The TTL in seconds; nothing if there is no such lease.
base::StatusOr<std::optional<int64_t>> GrantedTtl(const tree::Txn& txn, int64_t lease);

// DataLoss if it can't have that TTL.
base::Status PutLease(tree::Txn& txn, int64_t lease, int64_t ttl);

// Calls `visit` with the id and the TTL of each lease, until it returns an error.
base::Status ForEachLease(const tree::Txn& txn,
                          absl::FunctionRef<base::Status(int64_t id, int64_t ttl)> visit);

// The keys that end with the lease, in order; counted in `answer` if that is given.
base::StatusOr<std::vector<std::string>> LeaseKeys(const tree::Txn& txn, int64_t lease,
                                                   AnswerBytes* answer = nullptr);

}  // namespace strata::engine
