#include "storage/engine/lease_table.h"

#include "storage/engine/layout.h"
#include "storage/engine/tree/cursor.h"

namespace strata::engine {
namespace {

using tree::Cursor;
using tree::Table;

// What encodes one of many keys beside its bytes.
constexpr size_t kKeyBytes = 4;

base::Status Damaged() {
  return base::DataLossError("the store is damaged: a lease");
}

bool IsTtl(int64_t seconds) {
  return seconds > 0 && seconds <= kMaxLeaseTtl;
}

}  // namespace

base::StatusOr<std::optional<int64_t>> GrantedTtl(const tree::Txn& txn, int64_t lease) {
  STRATA_ASSIGN_OR_RETURN(const auto stored, txn.Get(Table::kLease, EncodeNumber(lease)));
  if (!stored) return std::nullopt;
  const auto ttl = ParseNumber(*stored);
  if (!ttl || !IsTtl(*ttl)) return Damaged();
  return ttl;
}

base::Status PutLease(tree::Txn& txn, int64_t lease, int64_t ttl) {
  if (!IsTtl(ttl)) return Damaged();
  return txn.Put(Table::kLease, EncodeNumber(lease), EncodeNumber(ttl));
}

base::Status ForEachLease(const tree::Txn& txn,
                          absl::FunctionRef<base::Status(int64_t id, int64_t ttl)> visit) {
  Cursor cursor(txn, Table::kLease);
  for (cursor.First(); cursor.valid(); cursor.Next()) {
    const auto id = ParseNumber(cursor.key());
    const auto ttl = ParseNumber(cursor.value());
    if (!id || !ttl || !IsTtl(*ttl)) return Damaged();
    STRATA_RETURN_IF_ERROR(visit(*id, *ttl));
  }
  return cursor.status();
}

base::StatusOr<std::vector<std::string>> LeaseKeys(const tree::Txn& txn, int64_t lease,
                                                   AnswerBytes* answer) {
  std::vector<std::string> keys;
  const std::string prefix = EncodeNumber(lease);
  Cursor cursor(txn, Table::kLeaseKey);
  for (cursor.Seek(prefix); cursor.valid() && cursor.key().starts_with(prefix); cursor.Next()) {
    const std::string_view key = cursor.key().substr(prefix.size());
    if (answer != nullptr) STRATA_RETURN_IF_ERROR(answer->Add(key.size() + kKeyBytes));
    keys.emplace_back(key);
  }
  STRATA_RETURN_IF_ERROR(cursor.status());
  return keys;
}

}  // namespace strata::engine
