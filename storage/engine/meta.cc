#include "storage/engine/meta.h"

#include <fmt/format.h>

#include "storage/engine/layout.h"
#include "storage/engine/random_id.h"

namespace strata::engine {

using tree::Table;

base::StatusOr<int64_t> ReadNumber(const tree::Txn& txn, std::string_view name) {
  STRATA_ASSIGN_OR_RETURN(const auto bytes, txn.Get(Table::kMeta, name));
  if (!bytes) return 0;
  const auto number = ParseNumber(*bytes);
  if (!number) {
    return base::DataLossError(fmt::format("the store is damaged: {} is not a number", name));
  }
  return *number;
}

base::StatusOr<Revision> ReadRevision(const tree::Txn& txn, std::string_view name) {
  STRATA_ASSIGN_OR_RETURN(const int64_t number, ReadNumber(txn, name));
  if (IsCount(number)) return number;
  return base::DataLossError(fmt::format("the store is damaged: {} can't be {}", name, number));
}

base::Status PutNumber(tree::Txn& txn, std::string_view name, int64_t number) {
  return txn.Put(Table::kMeta, name, EncodeNumber(number));
}

base::StatusOr<StoreIds> ReadIds(const tree::Txn& txn) {
  STRATA_ASSIGN_OR_RETURN(const int64_t cluster, ReadNumber(txn, kMetaCluster));
  STRATA_ASSIGN_OR_RETURN(const int64_t member, ReadNumber(txn, kMetaMember));
  return StoreIds{.cluster = static_cast<uint64_t>(cluster),
                  .member = static_cast<uint64_t>(member)};
}

base::Status PutNewIds(tree::Txn& txn) {
  STRATA_RETURN_IF_ERROR(PutNumber(txn, kMetaCluster, RandomId()));
  return PutNumber(txn, kMetaMember, RandomId());
}

base::Status PutFormat(tree::Txn& txn) {
  return txn.PutBare(Table::kMeta, kMetaFormat, EncodeNumber(kFormatVersion));
}

}  // namespace strata::engine
