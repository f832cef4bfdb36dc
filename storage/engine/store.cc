#include "storage/engine/store.h"

#include <absl/synchronization/notification.h>

#include <utility>

#include "storage/engine/check.h"
#include "storage/engine/errors.h"
#include "storage/engine/format.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/quota.h"
#include "storage/engine/random_id.h"
#include "storage/engine/scrub.h"
#include "storage/engine/view.h"

namespace strata::engine {

base::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory,
                                                   const Options& options, const base::Clock& clock,
                                                   const obs::Logger& log, obs::Metrics& metrics) {
  STRATA_RETURN_IF_ERROR(DataDir::Check(directory, !options.look_only));
  STRATA_ASSIGN_OR_RETURN(auto dir, DataDir::Hold(directory));
  if (dir->exposed()) {
    log.Warning("Others may look into the data directory; chmod 700 it",
                {{"directory", directory}});
  }
  STRATA_ASSIGN_OR_RETURN(auto env,
                          tree::Environment::Open(dir->FilePath(kStoreFile), options.map));
  STRATA_RETURN_IF_ERROR(dir->Sync());
  std::unique_ptr<Store> store(
      new Store(std::move(dir), std::move(env), options, clock, log, metrics));
  STRATA_RETURN_IF_ERROR(base::Annotate(store->Load(), directory));
  store->writer_.Start();
  return store;
}

Store::Store(std::unique_ptr<DataDir> dir, std::unique_ptr<tree::Environment> env,
             const Options& options, const base::Clock& clock, const obs::Logger& log,
             obs::Metrics& metrics)
    : dir_(std::move(dir)),
      env_(std::move(env)),
      options_(options),
      log_(log),
      state_(options_, clock, log, metrics),
      answers_(options_.max_answer_bytes, options_.max_inflight_answer_bytes, metrics),
      reads_(*env_, state_.alarms, options_.max_txn_ops),
      writer_(*env_, state_, options_, clock, log) {}

base::Status Store::Load() {
  STRATA_RETURN_IF_ERROR(AdoptFormat(*env_));
  STRATA_ASSIGN_OR_RETURN(const auto txn, env_->Snapshot());
  STRATA_ASSIGN_OR_RETURN(ids_, ReadIds(txn));
  STRATA_ASSIGN_OR_RETURN(const View view, state_.alarms.Noted(txn, View::Of(txn)));
  state_.published.Publish(view.revision(), view.compacted());
  STRATA_ASSIGN_OR_RETURN(const bool scrubbed, IsScrubbed(txn));
  STRATA_ASSIGN_OR_RETURN(const int64_t alarms, ReadNumber(txn, kMetaAlarms));
  state_.alarms.Restore(alarms);
  STRATA_RETURN_IF_ERROR(ForEachLease(txn, [this](int64_t id, int64_t ttl) {
    state_.leases.Add(id, ttl);
    return base::OkStatus();
  }));
  if (!scrubbed && !options_.look_only) writer_.BeginScrub();
  return base::OkStatus();
}

bool Store::HasRoomFor(size_t cost) {
  if (cost == 0) return true;
  const bool fits = state_.quota.Fits(cost);
  const bool refusing = has_alarm(Alarm::kNoSpace);
  if (fits && !refusing) return true;
  if (!refusing) {
    log_.Warning(
        "The quota is used up: writes are refused until room is made and the alarm ended",
        {{"quota_bytes", options_.quota_bytes}, {"used_bytes", state_.quota.used_bytes()}});
    // Kept, so that writes don't begin again by themselves whenever a little room is made.
    Submit(AlarmRequest{.alarm = Alarm::kNoSpace, .raise = true},
           [](const base::StatusOr<AlarmResult>&) {});
  }
  state_.metrics.refused_writes.Increment();
  return false;
}

template <typename Request, typename Result>
void Store::Queue(Request request, AnswerBytes* answer, Done<Result> done) {
  if (!HasRoomFor(CostOf(request))) return done(NoSpace());
  writer_.Submit(MakeWrite(std::move(request), answer, std::move(done)));
}

void Store::Submit(PutRequest request, AnswerBytes& answer, Done<PutResult> done) {
  if (const auto status = Check(request); !status.ok()) return done(status);
  Queue(std::move(request), &answer, std::move(done));
}

void Store::Submit(DeleteRequest request, AnswerBytes& answer, Done<DeleteResult> done) {
  if (const auto status = Check(request); !status.ok()) return done(status);
  Queue(std::move(request), &answer, std::move(done));
}

void Store::Submit(TxnRequest request, AnswerBytes& answer, Done<TxnResult> done) {
  if (const auto status = Check(request, options_.max_txn_ops); !status.ok()) return done(status);
  if (IsReadOnly(request)) return done(reads_.Txn(request, answer));
  Queue(std::move(request), &answer, std::move(done));
}

void Store::Submit(CompactRequest request, Done<CompactResult> done) {
  Queue(request, nullptr, std::move(done));
}

void Store::Submit(LeaseGrantRequest request, Done<LeaseGrantResult> done) {
  if (request.id == 0) request.id = RandomId();
  Queue(request, nullptr, std::move(done));
}

void Store::Submit(LeaseRevokeRequest request, Done<LeaseRevokeResult> done) {
  Queue(request, nullptr, std::move(done));
}

void Store::Submit(AlarmRequest request, Done<AlarmResult> done) {
  Queue(request, nullptr, std::move(done));
}

void Store::Submit(DefragmentRequest request, Done<DefragmentResult> done) {
  Queue(request, nullptr, std::move(done));
}

namespace {

template <typename Result, typename Request>
base::StatusOr<Result> SubmitAndWait(Store& store, Request request) {
  absl::Notification answered;
  base::StatusOr<Result> answer = Stopped();
  const auto done = [&](base::StatusOr<Result> result) {
    answer = std::move(result);
    answered.Notify();
  };
  AnswerBytes counted = store.NewAnswer();
  if constexpr (requires { store.Submit(std::move(request), counted, done); }) {
    store.Submit(std::move(request), counted, done);
  } else {
    store.Submit(std::move(request), done);
  }
  // Every write is answered: by the writer, or by the destructor.
  answered.WaitForNotification();
  return answer;
}

}  // namespace

base::StatusOr<PutResult> Store::Put(PutRequest request) {
  return SubmitAndWait<PutResult>(*this, std::move(request));
}
base::StatusOr<DeleteResult> Store::Delete(DeleteRequest request) {
  return SubmitAndWait<DeleteResult>(*this, std::move(request));
}
base::StatusOr<TxnResult> Store::Txn(TxnRequest request) {
  return SubmitAndWait<TxnResult>(*this, std::move(request));
}
base::StatusOr<CompactResult> Store::Compact(CompactRequest request) {
  return SubmitAndWait<CompactResult>(*this, request);
}
base::StatusOr<LeaseGrantResult> Store::Grant(LeaseGrantRequest request) {
  return SubmitAndWait<LeaseGrantResult>(*this, request);
}
base::StatusOr<LeaseRevokeResult> Store::Revoke(LeaseRevokeRequest request) {
  return SubmitAndWait<LeaseRevokeResult>(*this, request);
}

base::StatusOr<RangeResult> Store::Range(const RangeRequest& request) const {
  AnswerBytes answer = NewAnswer();
  return Range(request, answer);
}

base::StatusOr<StoreStatus> Store::Status() const {
  STRATA_ASSIGN_OR_RETURN(const auto usage, env_->Measure());
  return StoreStatus{.revision = revision(),
                     .compact_revision = compacted(),
                     .size = usage.file_bytes,
                     .size_in_use = usage.used_bytes};
}

base::StatusOr<std::unique_ptr<engine::Snapshot>> Store::TakeSnapshot() const {
  STRATA_ASSIGN_OR_RETURN(auto snapshot, Snapshot::Create(dir_->FilePath(".")));
  STRATA_RETURN_IF_ERROR(env_->CopyTo(snapshot->file()));
  return snapshot;
}

}  // namespace strata::engine
