// The embedded store: records under revisions, as etcd keeps them, in an LMDB file and a
// write-ahead log.
//
// Every write transaction is one revision. One thread writes (writer.h); it takes all writes that
// wait, does them in order, and answers them after one common fsync. Reads (reads.h) take snapshots
// beside it, and see every write that was answered before they began. Limitations: keys end at 480
// bytes (layout.h), and it is one node.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/data_dir.h"
#include "storage/engine/meta.h"
#include "storage/engine/options.h"
#include "storage/engine/published.h"
#include "storage/engine/reads.h"
#include "storage/engine/snapshot.h"
#include "storage/engine/state.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/types.h"
#include "storage/engine/verify.h"
#include "storage/engine/view.h"
#include "storage/engine/write.h"
#include "storage/engine/writer.h"

namespace strata::engine {

// What others use of it. Thread-safe.
class Store {
 public:
  // Opens the store in the directory, or makes one. The message of an error names the file and what
  // to do.
  static base::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory,
                                                     const Options& options,
                                                     const base::Clock& clock,
                                                     const obs::Logger& log, obs::Metrics& metrics);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  // Writes that still wait are answered with Stopped.
  ~Store() = default;

  // For one request: what it answers of records is counted there, and it lives until that is sent.
  AnswerBytes NewAnswer(size_t uncounted = size_t{64} << 10) const { return {answers_, uncounted}; }

  // `done` is called once, on the writing thread after the commit, or at once on this one if the
  // request is refused. It must not block. A request whose answer is too large changes nothing.
  void Submit(PutRequest request, AnswerBytes& answer, Done<PutResult> done);
  void Submit(DeleteRequest request, AnswerBytes& answer, Done<DeleteResult> done);
  void Submit(TxnRequest request, AnswerBytes& answer, Done<TxnResult> done);
  void Submit(CompactRequest request, Done<CompactResult> done);
  void Submit(LeaseGrantRequest request, Done<LeaseGrantResult> done);  // id 0: one is chosen
  void Submit(LeaseRevokeRequest request, Done<LeaseRevokeResult> done);
  void Submit(AlarmRequest request, Done<AlarmResult> done);
  // Reads and writes wait while the file is replaced, which takes as long as writing what is in
  // use.
  void Submit(DefragmentRequest request, Done<DefragmentResult> done);

  // The same, waiting for the answer.
  base::StatusOr<PutResult> Put(PutRequest request);
  base::StatusOr<DeleteResult> Delete(DeleteRequest request);
  base::StatusOr<TxnResult> Txn(TxnRequest request);
  base::StatusOr<CompactResult> Compact(CompactRequest request);
  base::StatusOr<LeaseGrantResult> Grant(LeaseGrantRequest request);
  base::StatusOr<LeaseRevokeResult> Revoke(LeaseRevokeRequest request);

  // What reads.h says of them.
  base::StatusOr<RangeResult> Range(const RangeRequest& request, AnswerBytes& answer) const {
    return reads_.Range(request, answer);
  }
  base::StatusOr<RangeResult> Range(const RangeRequest& request) const;
  base::StatusOr<ChangesEnd> Changes(
      Revision from, size_t max_bytes,
      absl::FunctionRef<base::StatusOr<size_t>(const Change&)> visit) const {
    return reads_.Changes(from, max_bytes, visit);
  }
  base::Status Look(absl::FunctionRef<base::Status(const View&)> look) const {
    return reads_.Look(look);
  }
  base::StatusOr<HashResult> Hash(Revision revision) const { return reads_.Hash(revision); }
  base::StatusOr<Verified> Verify() const { return reads_.Verify(); }
  base::StatusOr<LeaseList> ListLeases(AnswerBytes& answer) const {
    return reads_.ListLeases(answer);
  }

  base::StatusOr<StoreStatus> Status() const;
  // All of it at one revision. Takes as long as the disk needs; reads and writes go on.
  base::StatusOr<std::unique_ptr<engine::Snapshot>> TakeSnapshot() const;

  // Seconds; nothing if there is no such lease.
  std::optional<int64_t> KeepAlive(int64_t lease) { return state_.leases.KeepAlive(lease); }
  base::StatusOr<LeaseTimeToLive> TimeToLive(int64_t lease, bool with_keys,
                                             AnswerBytes& answer) const {
    return reads_.TimeToLive(lease, state_.leases, with_keys, answer);
  }

  // kCorrupt also holds once a read has met a damaged record; others are served on.
  bool has_alarm(Alarm alarm) const { return state_.alarms.on(alarm); }

  // What published.h and health.h say of them.
  Revision revision() const { return state_.published.revision(); }
  Revision compacted() const { return state_.published.compacted(); }
  base::Status failure() const { return state_.health.failure(); }
  base::Status room() const { return state_.health.room(); }
  void AddListener(CommitListener& listener) { state_.published.AddListener(listener); }
  void RemoveListener(CommitListener& listener) { state_.published.RemoveListener(listener); }

  // Chosen when the store was made.
  uint64_t cluster_id() const { return ids_.cluster; }
  uint64_t member_id() const { return ids_.member; }
  const Options& options() const { return options_; }

 private:
  Store(std::unique_ptr<DataDir> dir, std::unique_ptr<tree::Environment> env,
        const Options& options, const base::Clock& clock, const obs::Logger& log,
        obs::Metrics& metrics);
  // Makes the state what the tables say.
  base::Status Load();

  // `answer` is null for what answers no records.
  template <typename Request, typename Result>
  void Queue(Request request, AnswerBytes* answer, Done<Result> done);
  // Whether a write that costs so much may be done; raises the alarm if it is the first that
  // mayn't.
  bool HasRoomFor(size_t cost);

  const std::unique_ptr<DataDir> dir_;
  const std::unique_ptr<tree::Environment> env_;
  const Options options_;
  const obs::Logger& log_;
  StoreIds ids_;  // constant after Open
  State state_;
  mutable AnswerBudget answers_;
  const Reads reads_;
  Writer writer_;  // its thread ends before the rest
};

}  // namespace strata::engine
