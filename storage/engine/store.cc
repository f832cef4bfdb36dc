#include "storage/engine/store.h"

#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include <chrono>
#include <type_traits>
#include <utility>

#include "storage/engine/check.h"
#include "storage/engine/errors.h"
#include "storage/engine/format.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/mutation.h"
#include "storage/engine/random_id.h"
#include "storage/engine/scrub.h"

namespace strata::engine {
namespace {

// How often the writer looks for ended leases when nothing else wakes it.
constexpr absl::Duration kLeaseTick = absl::Milliseconds(500);
// How many leases end in one commit.
constexpr size_t kLeasesPerBatch = 100;

size_t Bytes(const PutRequest& request) {
  return request.key.size() + request.value.size();
}
size_t Bytes(const DeleteRequest& request) {
  return request.key.size() + request.range_end.size();
}
size_t Bytes(const RangeRequest& request) {
  return request.key.size() + request.range_end.size();
}
size_t Bytes(std::monostate) {
  return 0;
}
size_t Bytes(const CompactRequest&) {
  return 0;
}
size_t Bytes(const LeaseGrantRequest&) {
  return 0;
}
size_t Bytes(const LeaseRevokeRequest&) {
  return 0;
}
size_t Bytes(const AlarmRequest&) {
  return 0;
}
size_t Bytes(const DefragmentRequest&) {
  return 0;
}
size_t Bytes(const TxnRequest& request) {
  size_t bytes = 0;
  for (const Compare& compare : request.compares) {
    bytes += sizeof(Compare) + compare.key.size() + compare.range_end.size() + compare.value.size();
  }
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Op& op : *branch) {
      bytes += sizeof(Op) +
               std::visit([](const auto& request_in) { return Bytes(request_in); }, op.request);
    }
  }
  return bytes;
}

base::StatusOr<PutResult> Do(Mutation& mutation, const PutRequest& request, AnswerBytes& answer) {
  return mutation.Put(request, answer);
}
base::StatusOr<DeleteResult> Do(Mutation& mutation, const DeleteRequest& request,
                                AnswerBytes& answer) {
  return mutation.Delete(request, answer);
}
base::StatusOr<TxnResult> Do(Mutation& mutation, const TxnRequest& request, AnswerBytes& answer) {
  return mutation.Run(request, answer);
}
base::StatusOr<CompactResult> Do(Mutation& mutation, const CompactRequest& request) {
  return mutation.Compact(request);
}
base::StatusOr<LeaseGrantResult> Do(Mutation& mutation, const LeaseGrantRequest& request) {
  return mutation.Grant(request);
}
base::StatusOr<LeaseRevokeResult> Do(Mutation& mutation, const LeaseRevokeRequest& request) {
  return mutation.Revoke(request);
}
base::StatusOr<AlarmResult> Do(Mutation& mutation, const AlarmRequest& request) {
  return mutation.Set(request);
}
// Done outside of the transaction.
base::StatusOr<DefragmentResult> Do(Mutation& mutation, const DefragmentRequest&) {
  return DefragmentResult{.revision = mutation.revision()};
}

}  // namespace

// A write that waits, then is done, then is answered. Owned by the queue, then by the batch.
class Store::Write {
 public:
  explicit Write(size_t size) : bytes(size) {}
  virtual ~Write() = default;
  virtual void Apply(Mutation& mutation) = 0;
  virtual void Refuse(base::Status why) = 0;  // instead of what Apply found
  virtual void Committed(Store& store) = 0;   // before Answer, if what Apply did is durable
  virtual void Answer() = 0;
  virtual bool wants_scrub() const { return false; }
  virtual bool wants_defragment() const { return false; }

  const size_t bytes;
};

template <typename Request, typename Result>
class Store::TypedWrite final : public Store::Write {
 public:
  TypedWrite(Request request, AnswerBytes* answer, Done<Result> done)
      : Write(sizeof(Request) + Bytes(request)),
        request_(std::move(request)),
        answer_(answer),
        done_(std::move(done)) {}

  void Apply(Mutation& mutation) override {
    if constexpr (kAnswersRecords) {
      answer_->Restart();  // perhaps it was done in a transaction that couldn't be committed
      result_ = Do(mutation, request_, *answer_);
    } else {
      result_ = Do(mutation, request_);
    }
  }
  void Refuse(base::Status why) override { result_ = std::move(why); }
  void Answer() override { done_(std::move(result_)); }

  void Committed(Store& store) override {
    if (!result_.ok()) return;
    if constexpr (std::is_same_v<Request, CompactRequest>) {
      store.scrubbing_ = true;
    } else if constexpr (std::is_same_v<Request, LeaseGrantRequest>) {
      store.state_.leases.Add(result_->id, result_->ttl);
    } else if constexpr (std::is_same_v<Request, LeaseRevokeRequest>) {
      store.state_.leases.Remove(request_.id);
    } else if constexpr (std::is_same_v<Request, AlarmRequest>) {
      store.state_.alarms.Set(request_.alarm, request_.raise);
    }
  }

  bool wants_scrub() const override {
    if constexpr (std::is_same_v<Request, CompactRequest>) return request_.physical && result_.ok();
    return false;
  }

  bool wants_defragment() const override {
    return std::is_same_v<Request, DefragmentRequest> && result_.ok();
  }

 private:
  static constexpr bool kAnswersRecords = std::is_same_v<Request, PutRequest> ||
                                          std::is_same_v<Request, DeleteRequest> ||
                                          std::is_same_v<Request, TxnRequest>;

  const Request request_;
  AnswerBytes* const answer_;
  const Done<Result> done_;
  base::StatusOr<Result> result_ = Stopped();
};

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
      reads_(*env_, state_.alarms, options_.max_txn_ops) {}

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
  {
    absl::MutexLock lock(&queue_mu_);
    stopping_ = true;
  }
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
void Store::Enqueue(Request request, AnswerBytes* answer, Done<Result> done) {
  if (!HasRoomFor(CostOf(request))) return done(NoSpace());
  EnqueueWrite(
      std::make_unique<TypedWrite<Request, Result>>(std::move(request), answer, std::move(done)));
}

void Store::EnqueueWrite(std::unique_ptr<Write> write) {
  base::Status refusal;
  {
    absl::MutexLock lock(&queue_mu_);
    if (stopping_) {
      refusal = Stopped();
    } else if (queue_.size() >= options_.max_pending_writes ||
               (!queue_.empty() && queue_bytes_ + write->bytes > options_.max_pending_bytes)) {
      refusal = TooManyRequests();
    } else {
      queue_bytes_ += write->bytes;
      queue_.push_back(std::move(write));
      state_.metrics.pending_writes.Set(static_cast<double>(queue_.size()));
      return;
    }
  }
  state_.metrics.refused_writes.Increment();
  write->Refuse(refusal);
  write->Answer();
}

void Store::Submit(PutRequest request, AnswerBytes& answer, Done<PutResult> done) {
  if (const auto status = Check(request); !status.ok()) return done(status);
  Enqueue(std::move(request), &answer, std::move(done));
}

void Store::Submit(DeleteRequest request, AnswerBytes& answer, Done<DeleteResult> done) {
  if (const auto status = Check(request); !status.ok()) return done(status);
  Enqueue(std::move(request), &answer, std::move(done));
}

void Store::Submit(TxnRequest request, AnswerBytes& answer, Done<TxnResult> done) {
  if (const auto status = Check(request, options_.max_txn_ops); !status.ok()) return done(status);
  if (IsReadOnly(request)) return done(reads_.Txn(request, answer));
  Enqueue(std::move(request), &answer, std::move(done));
}

void Store::Submit(CompactRequest request, Done<CompactResult> done) {
  Enqueue(request, nullptr, std::move(done));
}

void Store::Submit(LeaseGrantRequest request, Done<LeaseGrantResult> done) {
  if (request.id == 0) request.id = RandomId();
  Enqueue(request, nullptr, std::move(done));
}

void Store::Submit(LeaseRevokeRequest request, Done<LeaseRevokeResult> done) {
  Enqueue(request, nullptr, std::move(done));
}

void Store::Submit(AlarmRequest request, Done<AlarmResult> done) {
  Enqueue(request, nullptr, std::move(done));
}

void Store::Submit(DefragmentRequest request, Done<DefragmentResult> done) {
  Enqueue(request, nullptr, std::move(done));
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
  for (;;) {
    Batch batch;
    bool stop = false;
    {
      absl::MutexLock lock(&queue_mu_);
      const auto wake = [this]() ABSL_SHARED_LOCKS_REQUIRED(queue_mu_) {
        return stopping_ || !queue_.empty();
      };
      const bool idle = !scrubbing_ && queue_.empty() && !stopping_;
      const auto tick = state_.leases.empty() ? absl::InfiniteDuration() : kLeaseTick;
      if (idle) queue_mu_.AwaitWithTimeout(absl::Condition(&wake), tick);
      stop = stopping_;
      batch = stop ? Batch() : TakeBatch();
    }
    if (stop) break;
    AddEndedLeases(batch);
    if (!batch.empty()) CommitBatch(std::move(batch));
    if (scrubbing_) Scrub();
    if (!awaiting_defragment_.empty()) Defragment();
  }
  // Nothing is added to the queue any more.
  Batch rest;
  {
    absl::MutexLock lock(&queue_mu_);
    for (auto& write : queue_) rest.push_back(std::move(write));
    queue_.clear();
  }
  for (const auto& write : rest) write->Refuse(Stopped());
  Answer(rest);
  Answer(awaiting_scrub_);
}

Store::Batch Store::TakeBatch() {
  Batch batch;
  size_t bytes = 0;
  while (!queue_.empty() && batch.size() < options_.max_batch_writes &&
         (batch.empty() || bytes + queue_.front()->bytes <= options_.max_batch_bytes)) {
    bytes += queue_.front()->bytes;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queue_bytes_ -= bytes;
  state_.metrics.pending_writes.Set(static_cast<double>(queue_.size()));
  return batch;
}

void Store::AddEndedLeases(Batch& batch) {
  for (const int64_t id : state_.leases.TakeEnded(kLeasesPerBatch)) {
    Done<LeaseRevokeResult> done = [this, id](const base::StatusOr<LeaseRevokeResult>& result) {
      // NotFound: revoked by its owner meanwhile.
      if (!result.ok() && !absl::IsNotFound(result.status())) state_.leases.Postpone(id);
    };
    batch.push_back(std::make_unique<TypedWrite<LeaseRevokeRequest, LeaseRevokeResult>>(
        LeaseRevokeRequest{.id = id}, nullptr, std::move(done)));
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
    if (!write->wants_scrub() && !write->wants_defragment()) return false;
    (write->wants_scrub() ? awaiting_scrub_ : awaiting_defragment_).push_back(std::move(write));
    return true;
  });
  Answer(batch);
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
          for (const auto& write : batch) write->Committed(*this);
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
    for (const auto& write : batch) write->Refuse(failure);
    return true;
  }
}

void Store::Answer(Batch& batch) {
  for (const auto& write : batch) write->Answer();
  batch.clear();
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
    for (const auto& write : awaiting_scrub_) write->Refuse(failure);
    Answer(awaiting_scrub_);
    return;
  }
  if (!finished) return;
  scrubbing_ = false;
  Answer(awaiting_scrub_);
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
    for (const auto& write : awaiting_defragment_) write->Refuse(done);
  }
  Answer(awaiting_defragment_);
}

}  // namespace strata::engine
