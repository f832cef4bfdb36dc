#include "storage/engine/maintenance.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include "storage/engine/scrub.h"

namespace strata::engine {

bool GrowMap(tree::Environment& env, Health& health, const obs::Logger& log) {
  const base::Status grown = env.Grow();
  if (absl::IsUnavailable(grown)) {
    health.DiskFailed(grown).IgnoreError();
  } else if (!grown.ok()) {
    log.Warning("The store can't grow", {{"reason", grown}});
  }
  return grown.ok();
}

void Maintenance::TakeWaiting(Batch& batch) {
  std::erase_if(batch, [this](std::unique_ptr<Write>& write) {
    switch (write->awaits()) {
      case Write::Awaits::kNothing:
        return false;
      case Write::Awaits::kScrub:
        awaiting_scrub_.push_back(std::move(write));
        return true;
      case Write::Awaits::kDefragmentation:
        awaiting_defragmentation_.push_back(std::move(write));
        return true;
    }
    return false;
  });
}

void Maintenance::Step() {
  if (scrubbing_) Scrub();
  if (!awaiting_defragmentation_.empty()) Defragment();
}

void Maintenance::End() {
  AnswerAll(awaiting_scrub_);
}

namespace {

struct ScrubOutcome {
  enum class Kind { kGoesOn, kFinished, kMapFull, kFailed };
  Kind kind = Kind::kGoesOn;
  base::Status why{};  // of the last two
};

ScrubOutcome TryScrub(tree::Environment& env, size_t changes) {
  auto txn = env.Begin();
  if (!txn.ok()) return {ScrubOutcome::Kind::kFailed, txn.status()};
  const auto finished = ScrubStep(*txn, changes);
  const base::Status done = finished.ok() ? txn->Commit() : finished.status();
  if (txn->map_full()) return {ScrubOutcome::Kind::kMapFull, done};
  if (!done.ok()) return {ScrubOutcome::Kind::kFailed, done};
  return {*finished ? ScrubOutcome::Kind::kFinished : ScrubOutcome::Kind::kGoesOn};
}

}  // namespace

void Maintenance::Scrub() {
  if (state_.health.failed()) return EndScrub(state_.health.failure());
  const ScrubOutcome outcome = TryScrub(env_, options_.scrub_changes);
  switch (outcome.kind) {
    case ScrubOutcome::Kind::kGoesOn:
      return;
    case ScrubOutcome::Kind::kMapFull:
      if (GrowMap(env_, state_.health, log_)) return;
      return EndScrub(outcome.why);
    case ScrubOutcome::Kind::kFailed:
      return EndScrub(outcome.why);
    case ScrubOutcome::Kind::kFinished:
      EndScrub(base::OkStatus());
      state_.quota.Measure(env_);
  }
}

void Maintenance::EndScrub(const base::Status& how) {
  scrubbing_ = false;
  if (!how.ok()) {
    // What was forgotten stays where it is until the next compaction or start; nobody can read it.
    log_.Warning("The clean-up after a compaction failed", {{"error", how}});
    RefuseAll(awaiting_scrub_, how);
  }
  AnswerAll(awaiting_scrub_);
}

// One for all that asked.
void Maintenance::Defragment() {
  const auto start = clock_.Now();
  const auto before = static_cast<int64_t>(state_.metrics.file_bytes.value());
  base::Status done = state_.health.failed() ? state_.health.failure() : env_.Defragment();
  state_.quota.Measure(env_);
  if (done.ok()) {
    log_.Info("Defragmented",
              {{"bytes_before", before},
               {"bytes_after", static_cast<int64_t>(state_.metrics.file_bytes.value())},
               {"seconds", std::chrono::duration<double>(clock_.Now() - start).count()}});
  } else {
    log_.Error("Defragmentation failed", {{"err", done}});
    if (absl::IsUnavailable(done) && !state_.health.failed()) done = state_.health.DiskFailed(done);
    RefuseAll(awaiting_defragmentation_, done);
  }
  AnswerAll(awaiting_defragmentation_);
}

}  // namespace strata::engine
