// Reading a store: ranges, transactions that write nothing, the history, hashes.
//
// It needs the tables and nothing of who writes them: not the queue, the log or the syncs.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/alarms.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/leases.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/types.h"
#include "storage/engine/verify.h"
#include "storage/engine/view.h"

namespace strata::engine {

// One change, as a watch needs it. Valid during the callback.
class Change {
 public:
  Change(const View& view, const ChangeRef& ref) : view_(view), ref_(ref) {}

  Revision revision() const { return ref_.at.revision; }
  std::string_view key() const { return ref_.record.key; }
  bool deleted() const { return ref_.record.kind == Kind::kTombstone; }
  bool created() const { return !deleted() && ref_.record.create_revision == revision(); }
  size_t size() const { return ref_.record.key.size() + ref_.record.value.size(); }
  KeyValue kv() const { return ToKeyValue(ref_); }
  // The record before it; nothing if it didn't exist, or is compacted away.
  base::StatusOr<std::optional<KeyValue>> Prev() const;

 private:
  const View& view_;
  const ChangeRef& ref_;
};

// How far a reading of the history came, and what the state that it read says of itself: who has
// committed publishes it only afterwards.
struct ChangesEnd {
  Revision next = 0;       // all before this have been visited
  Revision current = 0;    // the store's revision; next is greater if nothing is left
  Revision compacted = 0;  // where history begins; nothing was visited if that is beyond `next`
};

// Any thread may read, beside the others and the writer. Each call sees one state: all writes that
// were answered before it began, and none of them in part. Damage that it meets is its error, and
// raises kCorrupt.
class Reads {
 public:
  Reads(tree::Environment& env, Alarms& alarms, size_t max_txn_ops)
      : env_(env), alarms_(alarms), max_txn_ops_(max_txn_ops) {}

  base::StatusOr<RangeResult> Range(const RangeRequest& request, AnswerBytes& answer) const;
  // A transaction that writes in neither branch.
  base::StatusOr<TxnResult> Txn(const TxnRequest& request, AnswerBytes& answer) const;
  // Visits the changes from revision `from` on, whole revisions, until the sizes that `visit`
  // returns reach `max_bytes` (or a multiple of it has been read).
  base::StatusOr<ChangesEnd> Changes(
      Revision from, size_t max_bytes,
      absl::FunctionRef<base::StatusOr<size_t>(const Change&)> visit) const;
  // What other rooms read in other ways. The view is there until `look` returns.
  base::Status Look(absl::FunctionRef<base::Status(const View&)> look) const;
  // 0 is the newest.
  base::StatusOr<HashResult> Hash(Revision revision) const;
  // Reads everything; DataLoss names the first thing that is damaged. For minutes, if need be.
  base::StatusOr<Verified> Verify() const;

  // `deadlines` knows what is left of it.
  base::StatusOr<LeaseTimeToLive> TimeToLive(int64_t lease, const Leases& deadlines, bool with_keys,
                                             AnswerBytes& answer) const;
  base::StatusOr<LeaseList> ListLeases(AnswerBytes& answer) const;

 private:
  // What `read` finds in the newest state, given the snapshot and its view.
  template <typename Result>
  base::StatusOr<Result> InNewest(
      absl::FunctionRef<base::StatusOr<Result>(tree::Txn&, const View&)> read) const;

  tree::Environment& env_;
  Alarms& alarms_;
  const size_t max_txn_ops_;
};

}  // namespace strata::engine
