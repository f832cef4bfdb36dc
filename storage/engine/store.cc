#include "storage/engine/store.h"

#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "storage/engine/check.h"
#include "storage/engine/errors.h"
#include "storage/engine/format.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/mutation.h"
#include "storage/engine/quota.h"
#include "storage/engine/random_id.h"
#include "storage/engine/scrub.h"

namespace strata::engine {
namespace {

// How often the writer looks for ended leases when nothing else wakes it.
constexpr absl::Duration kLeaseTick = absl::Milliseconds(500);
// How many leases end in one commit.
constexpr size_t kLeasesPerBatch = 100;

}  // namespace

base::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory,
                                                   const Options& options, const base::Clock& clock,
                                                   const obs::Logger& log, obs::Metrics& metrics) {
  STRATA_RETURN_IF_ERROR(DataDir::Check(directory, options.make));
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
  store->state_.quota.Measure(*store->env_);
  store->writer_ = std::thread([s = store.get()] { s->Run(); });
  return store;
}

base::StatusOr<std::unique_ptr<engine::Snapshot>> Store::TakeSnapshot() const {
  STRATA_ASSIGN_OR_RETURN(auto snapshot, Snapshot::Create(dir_->FilePath(".")));
  STRATA_RETURN_IF_ERROR(env_->CopyTo(snapshot->file()));
  return snapshot;
}

Store::Store(std::unique_ptr<DataDir> dir, std::unique_ptr<tree::Environment> env,
             const Options& options, const base::Clock& clock, const obs::Logger& log,
             obs::Metrics& metrics)
    : dir_(std::move(dir)),
      env_(std::move(env)),
      options_(options),
      clock_(clock),
      log_(log),
      state_(options_, clock, log, metrics),
      answers_(options_.max_answer_bytes, options_.max_inflight_answer_bytes, metrics),
      reads_(*env_, state_.alarms, options_.max_txn_ops),
      queue_(options_, state_.metrics) {}

base::Status Store::Load() {
  STRATA_RETURN_IF_ERROR(AdoptFormat(*env_));
  STRATA_ASSIGN_OR_RETURN(const auto txn, env_->Snapshot());
  STRATA_ASSIGN_OR_RETURN(ids_, ReadIds(txn));
  STRATA_ASSIGN_OR_RETURN(const View view, state_.alarms.Noted(txn, View::Of(txn)));
  state_.published.Publish(view.revision(), view.compacted());
  STRATA_ASSIGN_OR_RETURN(const bool scrubbed, IsScrubbed(txn));
  scrubbing_ = !scrubbed;
  STRATA_ASSIGN_OR_RETURN(const int64_t alarms, ReadNumber(txn, kMetaAlarms));
  state_.alarms.Restore(alarms);
  return ForEachLease(txn, [this](int64_t id, int64_t ttl) {
    state_.leases.Add(id, ttl);
    return base::OkStatus();
  });
}

Store::~Store() {
  queue_.End();
  if (writer_.joinable()) writer_.join();
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
  queue_.Add(MakeWrite(std::move(request), answer, std::move(done)));
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

void Store::Run() {
  const auto patience = [this] {
    if (scrubbing_) return absl::ZeroDuration();
    return state_.leases.empty() ? absl::InfiniteDuration() : kLeaseTick;
  };
  while (std::optional<Batch> batch = queue_.Take(patience())) {
    AddEndedLeases(*batch);
    if (!batch->empty()) CommitBatch(*std::move(batch));
    if (scrubbing_) Scrub();
    if (!awaiting_defragment_.empty()) Defragment();
  }
  Batch rest = queue_.TakeRest();
  RefuseAll(rest, Stopped());
  AnswerAll(rest);
  AnswerAll(awaiting_scrub_);
}

void Store::AddEndedLeases(Batch& batch) {
  for (const int64_t id : state_.leases.TakeEnded(kLeasesPerBatch)) {
    Done<LeaseRevokeResult> done = [this, id](const base::StatusOr<LeaseRevokeResult>& result) {
      // NotFound: revoked by its owner meanwhile.
      if (!result.ok() && !absl::IsNotFound(result.status())) state_.leases.Postpone(id);
    };
    batch.push_back(MakeWrite(LeaseRevokeRequest{.id = id}, nullptr, std::move(done)));
  }
}

void Store::CommitBatch(Batch batch) {
  const auto start = clock_.Now();
  while (!TryCommit(batch)) {
    if (batch.size() == 1) break;
    // One of them can't be done; the others shall not suffer.
    for (auto& write : batch) {
      Batch single;
      single.push_back(std::move(write));
      CommitBatch(std::move(single));
    }
    return;
  }
  const std::chrono::duration<double> took = clock_.Now() - start;
  state_.metrics.commit_seconds.Observe(took.count());
  state_.quota.Measure(*env_);
  std::erase_if(batch, [this](std::unique_ptr<Write>& write) {
    const Write::Awaits awaits = write->awaits();
    if (awaits == Write::Awaits::kNothing) return false;
    (awaits == Write::Awaits::kScrub ? awaiting_scrub_ : awaiting_defragment_)
        .push_back(std::move(write));
    return true;
  });
  AnswerAll(batch);
}

bool Store::TryCommit(Batch& batch) {
  for (;;) {
    base::Status failure;
    bool map_full = false;
    bool disk_full = false;
    if (const base::Status dead = state_.health.failure(); !dead.ok()) {
      failure = dead;
    } else if (auto txn = env_->Begin(); !txn.ok()) {
      failure = state_.health.DiskFailed(txn.status());
    } else if (auto before = state_.alarms.Noted(*txn, View::Of(*txn)); !before.ok()) {
      failure = before.status();
    } else {
      Mutation mutation(*txn, *before);
      for (const auto& write : batch) {
        write->Apply(mutation);
        if (mutation.spoilt()) break;
      }
      const base::Status whole = txn->Whole();
      if (!whole.ok()) {
        failure = whole;
        state_.alarms.NoteDamage(whole);
      } else if (!mutation.spoilt()) {
        if (!mutation.dirty()) return true;
        failure = txn->Commit();
        if (failure.ok()) {
          state_.metrics.fsync_seconds.Observe(
              std::chrono::duration<double>(env_->logging()).count());
          state_.metrics.commits.Increment();
          state_.metrics.writes.Increment(static_cast<double>(batch.size()));
          state_.health.NoteRoom(base::OkStatus());
          for (const auto& write : batch) write->Committed(state_);
          if (mutation.compacted() > before->compacted()) scrubbing_ = true;
          state_.published.Publish(mutation.revision(), mutation.compacted());
          return true;
        }
        if (!txn->map_full() && !txn->disk_full()) {
          failure = state_.health.DiskFailed(failure);
        }
      } else {
        failure = mutation.refusal();
        if (failure.ok()) failure = base::InternalError("the store is damaged");
        if (mutation.refusal().ok() && !txn->map_full() && !txn->disk_full())
          state_.alarms.NoteDamage(failure);
      }
      map_full = txn->map_full();
      disk_full = txn->disk_full();
    }
    if (map_full && GrowMap()) continue;
    if (map_full || disk_full) {
      state_.health.NoteRoom(base::ResourceExhaustedError(
          fmt::format("{} {}", disk_full ? "the disk is full under" : "the map can't grow for",
                      dir_->FilePath(kStoreFile))));
      failure = NoSpace();
    }
    if (disk_full && env_->broken()) {
      if (const base::Status opened = env_->Reopen(); !opened.ok())
        failure = state_.health.DiskFailed(opened);
    }
    if (batch.size() > 1 && state_.health.failure().ok()) return false;
    RefuseAll(batch, failure);
    return true;
  }
}

bool Store::GrowMap() {
  const base::Status grown = env_->Grow();
  if (!grown.ok()) log_.Warning("The store can't grow", {{"reason", grown}});
  return grown.ok();
}

void Store::Scrub() {
  bool finished = false;
  bool map_full = false;
  base::Status failure;
  if (const base::Status dead = state_.health.failure(); !dead.ok()) {
    failure = dead;
  } else if (auto txn = env_->Begin(); !txn.ok()) {
    failure = txn.status();
  } else {
    auto step = ScrubStep(*txn, options_.scrub_changes);
    failure = step.ok() ? txn->Commit() : step.status();
    finished = failure.ok() && *step;
    map_full = txn->map_full();
  }
  if (map_full && GrowMap()) return;
  if (!failure.ok()) {
    // What was forgotten stays where it is until the next compaction or start; nobody can read it.
    log_.Warning("The clean-up after a compaction failed", {{"error", failure}});
    scrubbing_ = false;
    RefuseAll(awaiting_scrub_, failure);
    AnswerAll(awaiting_scrub_);
    return;
  }
  if (!finished) return;
  scrubbing_ = false;
  AnswerAll(awaiting_scrub_);
  state_.quota.Measure(*env_);
}

// One for all that asked.
void Store::Defragment() {
  const auto start = clock_.Now();
  const int64_t before = static_cast<int64_t>(state_.metrics.file_bytes.value());
  const base::Status dead = state_.health.failure();
  const base::Status done = dead.ok() ? env_->Defragment() : dead;
  state_.quota.Measure(*env_);
  if (done.ok()) {
    log_.Info("Defragmented",
              {{"bytes_before", before},
               {"bytes_after", static_cast<int64_t>(state_.metrics.file_bytes.value())},
               {"seconds", std::chrono::duration<double>(clock_.Now() - start).count()}});
  } else {
    log_.Error("Defragmentation failed", {{"err", done}});
    if (absl::IsUnavailable(done)) state_.health.Fail(done);
    RefuseAll(awaiting_defragment_, done);
  }
  AnswerAll(awaiting_defragment_);
}

}  // namespace strata::engine
