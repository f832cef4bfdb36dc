// Changing records inside the write transaction.
//
// Each request is checked against the store before it changes anything, so an error that is the
// request's leaves no trace. What fails after that has spoilt the whole transaction, which then
// must not be committed (`spoilt`).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/layout.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"
#include "storage/engine/view.h"

namespace strata::engine {

class Mutation {
 public:
  // `before` is the newest revision that the transaction holds.
  Mutation(tree::Txn& txn, const View& before)
      : txn_(txn), base_(before.revision()), compacted_(before.compacted()) {}

  // Each is a revision of its own if it changes anything. What is answered of records is counted in
  // `answer`; if it refuses, the request changes nothing.
  base::StatusOr<PutResult> Put(const PutRequest& request, AnswerBytes& answer);
  base::StatusOr<DeleteResult> Delete(const DeleteRequest& request, AnswerBytes& answer);
  base::StatusOr<TxnResult> Run(const TxnRequest& request, AnswerBytes& answer);
  base::StatusOr<LeaseRevokeResult> Revoke(const LeaseRevokeRequest& request);

  // These leave the revision as it is.
  base::StatusOr<LeaseGrantResult> Grant(const LeaseGrantRequest& request);
  base::StatusOr<CompactResult> Compact(const CompactRequest& request);
  base::StatusOr<AlarmResult> Set(const AlarmRequest& request);

  Revision revision() const { return base_; }
  Revision compacted() const { return compacted_; }
  // There is something to commit.
  bool dirty() const { return dirty_; }
  bool spoilt() const { return spoilt_; }
  // Why, if it is because of an answer that can't be given: the request's own fault.
  const base::Status& refusal() const { return refusal_; }

 private:
  // Which branches a transaction takes: itself, then its nested transactions in order.
  struct Path {
    bool succeeded = false;
    std::vector<Path> nested;
  };

  // What is readable now, this request's own changes included.
  View Now() const { return {txn_, sub_ == 0 ? base_ : base_ + 1, compacted_}; }
  // Ends the request that gave `result`, and makes its revision the result's.
  template <typename Result>
  base::StatusOr<Result> End(base::StatusOr<Result> result, const AnswerBytes* answer = nullptr);

  base::Status CheckRevisions() const;
  base::StatusOr<bool> Holds(const Compare& compare) const;
  base::StatusOr<Path> Choose(const TxnRequest& request) const;
  base::Status CheckAgainstStore(const TxnRequest& request, const Path& path) const;
  base::Status CheckAgainstStore(const PutRequest& request) const;

  base::StatusOr<PutResult> DoPut(const PutRequest& request, AnswerBytes& answer);
  base::StatusOr<DeleteResult> DoDelete(const DeleteRequest& request, AnswerBytes& answer);
  base::StatusOr<TxnResult> DoTxn(const TxnRequest& request, const Path& path, AnswerBytes& answer);
  base::Status DeleteOne(std::string_view key, int64_t lease);
  base::StatusOr<LeaseRevokeResult> DoRevoke(int64_t lease);
  base::Status Record(const HistoryRecord& record);

  tree::Txn& txn_;
  Revision base_;
  Revision compacted_;
  uint32_t sub_ = 0;  // changes of the request that is being done
  bool dirty_ = false;
  bool spoilt_ = false;
  base::Status refusal_;
};

}  // namespace strata::engine
