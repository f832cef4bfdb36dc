#include "storage/engine/writer.h"

#include <absl/time/time.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "storage/engine/errors.h"

namespace strata::engine {
namespace {

// How often it looks for ended leases when nothing else wakes it.
constexpr absl::Duration kLeaseTick = absl::Milliseconds(500);
// How many leases end in one commit.
constexpr size_t kLeasesPerBatch = 100;

}  // namespace

void Writer::Start() {
  state_.quota.Measure(env_);
  thread_ = std::thread([this] { Run(); });
}

Writer::~Writer() {
  queue_.End();
  if (thread_.joinable()) thread_.join();
}

absl::Duration Writer::Patience() const {
  const bool ends_leases = !options_.look_only && !state_.leases.empty();
  return std::min(maintenance_.Patience(), ends_leases ? kLeaseTick : absl::InfiniteDuration());
}

void Writer::Run() {
  while (std::optional<Batch> batch = queue_.Take(Patience())) {
    AddEndedLeases(*batch);
    if (!batch->empty()) Commit(*std::move(batch));
    maintenance_.Step();
  }
  Batch rest = queue_.TakeRest();
  RefuseAll(rest, Stopped());
  AnswerAll(rest);
  maintenance_.End();
}

void Writer::AddEndedLeases(Batch& batch) {
  if (options_.look_only) return;
  for (const int64_t id : state_.leases.TakeEnded(kLeasesPerBatch)) {
    Done<LeaseRevokeResult> done = [this, id](const base::StatusOr<LeaseRevokeResult>& result) {
      // NotFound: revoked by its owner meanwhile.
      if (!result.ok() && !absl::IsNotFound(result.status())) state_.leases.Postpone(id);
    };
    batch.push_back(MakeWrite(LeaseRevokeRequest{.id = id}, nullptr, std::move(done)));
  }
}

void Writer::Commit(Batch batch) {
  const auto start = clock_.Now();
  const base::Status refusal = state_.health.failed() ? state_.health.failure() : Do(batch);
  if (!refusal.ok()) {
    // One of them can't be done; the others shall not suffer.
    if (batch.size() > 1 && !state_.health.failed()) return CommitEach(std::move(batch));
    RefuseAll(batch, refusal);
  }
  const std::chrono::duration<double> took = clock_.Now() - start;
  state_.metrics.commit_seconds.Observe(took.count());
  state_.quota.Measure(env_);
  maintenance_.TakeWaiting(batch);
  AnswerAll(batch);
}

void Writer::CommitEach(Batch batch) {
  for (auto& write : batch) {
    Batch single;
    single.push_back(std::move(write));
    Commit(std::move(single));
  }
}

base::Status Writer::Do(const Batch& batch) {
  const Outcome outcome = TryWithRoom(batch);
  switch (outcome.end) {
    case Outcome::End::kCommitted:
      Publish(batch, outcome);
      return base::OkStatus();
    case Outcome::End::kUnchanged:
      // An alarm that a read raised is nowhere but in memory.
      for (const auto& write : batch) write->Committed(state_);
      return base::OkStatus();
    case Outcome::End::kMapFull:
      return state_.health.failed() ? state_.health.failure() : NoRoom("the map can't grow for");
    case Outcome::End::kDiskFull:
      return DiskFull();
    case Outcome::End::kSpoilt:
      return outcome.why;
    case Outcome::End::kDiskFailed:
      return state_.health.DiskFailed(outcome.why);
  }
  return base::OkStatus();
}

Outcome Writer::TryWithRoom(const Batch& batch) {
  for (;;) {
    Outcome outcome = TryCommit(env_, batch, state_.alarms);
    if (outcome.end != Outcome::End::kMapFull || !GrowMap(env_, state_.health, log_))
      return outcome;
  }
}

base::Status Writer::NoRoom(const char* where) {
  state_.health.NoteRoom(base::ResourceExhaustedError(fmt::format("{} {}", where, env_.path())));
  return NoSpace();
}

base::Status Writer::DiskFull() {
  base::Status refusal = NoRoom("the disk is full under");
  base::Status usable = ReopenIfBroken(env_, state_.health);
  return usable.ok() ? refusal : usable;
}

void Writer::Publish(const Batch& batch, const Outcome& outcome) {
  const StoreMetrics& metrics = state_.metrics;
  metrics.fsync_seconds.Observe(std::chrono::duration<double>(env_.logging()).count());
  metrics.commits.Increment();
  metrics.writes.Increment(static_cast<double>(batch.size()));
  metrics.applied.Increment(static_cast<double>(batch.size()));
  state_.health.NoteRoom(base::OkStatus());
  for (const auto& write : batch) write->Committed(state_);
  if (outcome.compacts) maintenance_.BeginScrub();
  state_.published.Publish(outcome.revision, outcome.compacted);
}

}  // namespace strata::engine
