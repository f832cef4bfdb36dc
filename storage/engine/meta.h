// The meta table: numbers under names, which say what the store is.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

inline constexpr std::string_view kMetaFormat = tree::kBareKey;
inline constexpr std::string_view kMetaCluster = "cluster";
inline constexpr std::string_view kMetaMember = "member";
inline constexpr std::string_view kMetaCompacted = "compacted";
inline constexpr std::string_view kMetaScrubbed = "scrubbed";
inline constexpr std::string_view kMetaAlarms = "alarms";  // their bits

// 0 if there is none.
base::StatusOr<int64_t> ReadNumber(const tree::Txn& txn, std::string_view name);
// The same of a revision.
base::StatusOr<Revision> ReadRevision(const tree::Txn& txn, std::string_view name);
base::Status PutNumber(tree::Txn& txn, std::string_view name, int64_t number);

// Chosen when the store was made.
struct StoreIds {
  uint64_t cluster = 0;
  uint64_t member = 0;
};
base::StatusOr<StoreIds> ReadIds(const tree::Txn& txn);
// Gives the store ids that no other has.
base::Status PutNewIds(tree::Txn& txn);

// This version's, bare, so that every version can tell.
base::Status PutFormat(tree::Txn& txn);

}  // namespace strata::engine
