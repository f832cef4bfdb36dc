#include "storage/engine/scrub.h"

#include <algorithm>
#include <string>
#include <vector>

#include "storage/engine/layout.h"
#include "storage/engine/meta.h"
#include "storage/engine/tree/cursor.h"

namespace strata::engine {
namespace {

using tree::Cursor;
using tree::Table;

struct Seen {
  Position at;
  Kind kind;
  std::string key;
};

base::Status RemoveVersion(tree::Txn& txn, std::string_view index_key, Position at) {
  STRATA_RETURN_IF_ERROR(txn.Delete(Table::kIndex, index_key));
  return txn.Delete(Table::kHistory, HistoryKey(at));
}

// Removes the versions of `key` that are older than `revision`.
base::Status RemoveOlder(tree::Txn& txn, std::string_view key, Revision revision) {
  const std::string prefix = IndexLowerBound(key);
  for (;;) {
    std::string index_key;
    Position at;
    {
      Cursor cursor(txn, Table::kIndex);
      cursor.Seek(IndexKey(key, revision - 1));
      STRATA_RETURN_IF_ERROR(cursor.status());
      if (!cursor.valid() || !cursor.key().starts_with(prefix)) return base::OkStatus();
      const auto parts = ParseIndexKey(cursor.key());
      const auto record = ParseIndex(cursor.value());
      if (!parts || !record) return base::DataLossError("the store is damaged: an index entry");
      index_key = cursor.key();
      at = {parts->revision, record->sub};
    }
    STRATA_RETURN_IF_ERROR(RemoveVersion(txn, index_key, at));
  }
}

}  // namespace

base::StatusOr<bool> IsScrubbed(const tree::Txn& txn) {
  STRATA_ASSIGN_OR_RETURN(const Revision compacted, ReadRevision(txn, kMetaCompacted));
  STRATA_ASSIGN_OR_RETURN(const Revision scrubbed, ReadRevision(txn, kMetaScrubbed));
  return scrubbed >= compacted;
}

base::StatusOr<Scrubbed> ScrubStep(tree::Txn& txn, size_t max_changes) {
  STRATA_ASSIGN_OR_RETURN(const Revision compacted, ReadRevision(txn, kMetaCompacted));
  STRATA_ASSIGN_OR_RETURN(const Revision scrubbed, ReadRevision(txn, kMetaScrubbed));
  if (scrubbed >= compacted) return Scrubbed{.finished = true, .damage = {}};

  Scrubbed done;
  std::vector<Seen> seen;
  Revision reached = compacted;
  {
    Cursor cursor(txn, Table::kHistory);
    // From the old compacted revision itself: its deletions were kept then, and are due now.
    for (cursor.Seek(HistoryKey({scrubbed, 0})); cursor.valid(); cursor.Next()) {
      const auto at = ParseHistoryKey(cursor.key());
      const auto record = ParseHistory(cursor.value());
      if (!at || !record) return base::DataLossError("the store is damaged: a history entry");
      if (at->revision > compacted) break;
      if (seen.size() >= max_changes && at->revision > seen.back().at.revision &&
          at->revision < compacted) {
        reached = at->revision;
        break;
      }
      seen.push_back({*at, record->kind, std::string(record->key)});
    }
    if (!cursor.status().ok()) {
      const auto at = ParseHistoryKey(cursor.key());
      if (!at) return cursor.status();
      if (at->revision <= compacted) {
        done.damage = cursor.status();
        reached = std::min(at->revision + 1, compacted);
      }
    }
  }
  for (const Seen& change : seen) {
    STRATA_RETURN_IF_ERROR(RemoveOlder(txn, change.key, change.at.revision));
    if (change.kind == Kind::kTombstone && change.at.revision < compacted) {
      STRATA_RETURN_IF_ERROR(
          RemoveVersion(txn, IndexKey(change.key, change.at.revision), change.at));
    }
  }
  STRATA_RETURN_IF_ERROR(PutNumber(txn, kMetaScrubbed, reached));
  done.finished = reached == compacted;
  return done;
}

}  // namespace strata::engine
