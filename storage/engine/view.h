// Reading the records as they were at a revision, in a snapshot or in the write transaction.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <optional>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/layout.h"
#include "storage/engine/tree/cursor.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

// One version of a key, without its value. Its bytes are the transaction's.
struct Version {
  std::string_view escaped;  // the key: Unescape
  Revision revision = 0;
  IndexRecord record;
};

// One change in the history. Valid during the callback that it is given to.
struct ChangeRef {
  Position at;
  HistoryRecord record;
};

// As long-lived as its transaction, and as its thread.
class View {
 public:
  // `revision` is what the transaction counts as newest; a writer sees its own unfinished revision
  // by giving it here.
  View(const tree::Txn& txn, Revision revision, Revision compacted)
      : txn_(txn), revision_(revision), compacted_(compacted) {}

  // The state of the store that `txn` sees.
  static base::StatusOr<View> Of(const tree::Txn& txn);

  Revision revision() const { return revision_; }
  Revision compacted() const { return compacted_; }
  // The transaction's.
  base::Status GiveWay() const { return txn_.GiveWay(); }

  // FutureRevision or Compacted if the state at `revision` can't be told; 0 and less mean the
  // newest.
  base::Status CheckRevision(Revision revision) const;

  // Without the revision of the result, which is the caller's affair.
  base::StatusOr<RangeResult> Range(const RangeRequest& request, AnswerBytes& answer) const;

  // The live version of `key` at `revision`; nothing if there is none.
  base::StatusOr<std::optional<KeyValue>> Find(std::string_view key, Revision revision,
                                               AnswerBytes* answer = nullptr) const;

  // When `key`, as it is at `revision`, was written; 0 if it doesn't exist then.
  base::StatusOr<Revision> NewestRevision(std::string_view key, Revision revision) const;

  // Calls `visit` for every live version of the range at `revision`, in key order, until it returns
  // false.
  base::Status Walk(std::string_view key, std::string_view range_end, Revision revision,
                    absl::FunctionRef<base::StatusOr<bool>(const Version&)> visit) const;

  // The changes from revision `from` on, in order, until `visit` returns false, which it may do
  // only at the last change of a revision (`last`).
  base::Status History(
      Revision from,
      absl::FunctionRef<base::StatusOr<bool>(const ChangeRef&, bool last)> visit) const;

  // The whole record of a version. It is counted in `answer` before it is copied, if that is given.
  base::StatusOr<KeyValue> Load(const Version& version, bool with_value,
                                AnswerBytes* answer = nullptr) const;
  // The same for many: what a range holds was often written together, and is found beside the last.
  base::StatusOr<KeyValue> Load(const Version& version, tree::Cursor& history,
                                AnswerBytes* answer = nullptr) const;

 private:
  const tree::Txn& txn_;
  const Revision revision_;
  const Revision compacted_;
};

KeyValue ToKeyValue(const ChangeRef& change);

}  // namespace strata::engine
