#include "storage/engine/marker.h"

#include "storage/engine/layout.h"
#include "storage/engine/meta.h"

namespace strata::engine {

// The newest revision is the one of the last change. So this is a change of the empty key, which
// nobody can write or read: a deletion, since of compacted changes only those go that another one
// follows.
base::Status PutMarker(tree::Txn& txn, Revision at) {
  HistoryRecord record;
  record.kind = Kind::kTombstone;
  STRATA_RETURN_IF_ERROR(
      txn.Append(tree::Table::kHistory, HistoryKey({at, 0}), EncodeHistory(record)));
  STRATA_RETURN_IF_ERROR(
      txn.Put(tree::Table::kIndex, IndexKey("", at), EncodeIndex({.kind = Kind::kTombstone})));
  return PutNumber(txn, kMetaCompacted, at);
}

}  // namespace strata::engine
