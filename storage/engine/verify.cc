#include "storage/engine/verify.h"

#include <fmt/format.h>

#include <string>

#include "lib/base/bytes.h"
#include "storage/engine/layout.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/meta.h"
#include "storage/engine/tree/cursor.h"

namespace strata::engine {
namespace {

using tree::Cursor;
using tree::Table;

base::Status Damaged(std::string_view what, std::string_view key) {
  return base::DataLossError(
      fmt::format("the store is damaged: {} {}", what, base::Printable(key, 200)));
}

// Calls `visit` with each record of the table.
template <typename Visit>
base::Status Walk(const tree::Txn& txn, Table table, const Visit& visit) {
  std::string before;
  Cursor cursor(txn, table);
  for (cursor.First(); cursor.valid(); cursor.Next()) {
    STRATA_RETURN_IF_ERROR(txn.GiveWay());
    if (!before.empty() && cursor.key() <= before) return Damaged("not in order:", cursor.key());
    before = cursor.key();
    STRATA_RETURN_IF_ERROR(visit(cursor.key(), cursor.value()));
  }
  return cursor.status();
}

}  // namespace

base::StatusOr<Verified> VerifyTables(const tree::Txn& txn) {
  Verified found;
  STRATA_RETURN_IF_ERROR(
      Walk(txn, Table::kHistory, [&](std::string_view key, std::string_view value) -> base::Status {
        const auto at = ParseHistoryKey(key);
        const auto record = ParseHistory(value);
        if (!at || !record) return Damaged("no change:", key);
        ++found.changes;
        found.bytes += static_cast<int64_t>(key.size() + value.size());
        STRATA_ASSIGN_OR_RETURN(const auto entry,
                                txn.Get(Table::kIndex, IndexKey(record->key, at->revision)));
        const auto index = entry ? ParseIndex(*entry) : std::nullopt;
        if (!index || index->sub != at->sub || index->kind != record->kind) {
          return Damaged(fmt::format("revision {} isn't in the index, of", at->revision),
                         record->key);
        }
        return base::OkStatus();
      }));
  // Each change is in the index: as many entries as changes, and there is none but theirs.
  int64_t entries = 0;
  STRATA_RETURN_IF_ERROR(
      Walk(txn, Table::kIndex, [&](std::string_view key, std::string_view value) -> base::Status {
        if (!ParseIndexKey(key) || !ParseIndex(value)) return Damaged("no version:", key);
        ++entries;
        return base::OkStatus();
      }));
  if (entries != found.changes) {
    return base::DataLossError(
        fmt::format("the store is damaged: {} versions in the index, and {} changes in the history",
                    entries, found.changes));
  }
  const auto accept = [](std::string_view, std::string_view) { return base::OkStatus(); };
  STRATA_RETURN_IF_ERROR(ForEachLease(txn, [](int64_t, int64_t) { return base::OkStatus(); }));
  STRATA_RETURN_IF_ERROR(Walk(txn, Table::kLeaseKey, accept));
  // A number whose name is damaged would be taken for one that isn't there.
  STRATA_RETURN_IF_ERROR(Walk(txn, Table::kMeta, accept));
  for (const std::string_view name : {kMetaCluster, kMetaMember, kMetaAlarms}) {
    STRATA_RETURN_IF_ERROR(ReadNumber(txn, name).status());
  }
  for (const std::string_view name : {kMetaCompacted, kMetaScrubbed}) {
    STRATA_RETURN_IF_ERROR(ReadRevision(txn, name).status());
  }
  return found;
}

}  // namespace strata::engine
