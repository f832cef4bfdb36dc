#include "storage/engine/maintenance.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "storage/engine/scrub.h"

namespace strata::engine {
namespace {

// After which it is tried again where there was no room.
constexpr std::chrono::seconds kScrubPause{10};

}  // namespace

base::Status ReopenIfBroken(tree::Environment& env, Health& health) {
  if (!env.broken()) return base::OkStatus();
  const base::Status opened = env.Reopen();
  return opened.ok() ? opened : health.DiskFailed(opened);
}

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

absl::Duration Maintenance::Patience() const {
  if (!scrubbing_) return absl::InfiniteDuration();
  return absl::FromChrono(
      std::max<std::chrono::nanoseconds>(scrubs_from_ - clock_.Now(), std::chrono::nanoseconds(0)));
}

void Maintenance::Step() {
  if (scrubbing_ && clock_.Now() >= scrubs_from_) Scrub();
  if (!awaiting_defragmentation_.empty()) Defragment();
}

void Maintenance::End() {
  AnswerAll(awaiting_scrub_);
}

namespace {

struct ScrubOutcome {
  enum class Kind { kGoesOn, kFinished, kMapFull, kDiskFull, kFailed };
  Kind kind = Kind::kGoesOn;
  base::Status why{};     // of the last three
  base::Status damage{};  // that was met
};

ScrubOutcome TryScrub(tree::Environment& env, size_t changes) {
  using Kind = ScrubOutcome::Kind;
  auto txn = env.Begin();
  if (!txn.ok()) return {.kind = Kind::kFailed, .why = txn.status()};
  const auto scrubbed = ScrubStep(*txn, changes);
  const base::Status done = scrubbed.ok() ? txn->Commit() : scrubbed.status();
  if (txn->map_full()) return {.kind = Kind::kMapFull, .why = done};
  if (txn->disk_full()) return {.kind = Kind::kDiskFull, .why = done};
  if (!done.ok()) return {.kind = Kind::kFailed, .why = done};
  return {.kind = scrubbed->finished ? Kind::kFinished : Kind::kGoesOn, .damage = scrubbed->damage};
}

}  // namespace

void Maintenance::Scrub() {
  if (state_.health.failed()) return EndScrub(state_.health.failure());
  const ScrubOutcome outcome = TryScrub(env_, options_.scrub_changes);
  for (const base::Status& met : {outcome.why, outcome.damage})
    if (absl::IsDataLoss(met)) state_.alarms.NoteDamage(met);
  switch (outcome.kind) {
    case ScrubOutcome::Kind::kGoesOn:
      return;
    case ScrubOutcome::Kind::kMapFull:
      if (GrowMap(env_, state_.health, log_)) return;
      return PauseScrub(outcome.why);
    case ScrubOutcome::Kind::kDiskFull:
      if (!ReopenIfBroken(env_, state_.health).ok()) return EndScrub(state_.health.failure());
      return PauseScrub(outcome.why);
    case ScrubOutcome::Kind::kFailed:
      return EndScrub(outcome.why);
    case ScrubOutcome::Kind::kFinished:
      EndScrub(base::OkStatus());
      state_.quota.Measure(env_);
  }
}

void Maintenance::EndScrub(const base::Status& how) {
  scrubbing_ = false;
  scrubs_from_ = {};
  if (!how.ok()) {
    // What was forgotten stays where it is until the next compaction or start; nobody can read it.
    log_.Warning("The clean-up after a compaction failed", {{"error", how}});
    RefuseAll(awaiting_scrub_, how);
  }
  AnswerAll(awaiting_scrub_);
}

// What was forgotten stays where it is meanwhile; nobody can read it, and who waits is told.
void Maintenance::PauseScrub(const base::Status& why) {
  if (scrubs_from_ == base::MonotonicTime{}) {
    log_.Warning("The clean-up after a compaction waits for room", {{"why", why}});
  }
  scrubs_from_ = clock_.Now() + kScrubPause;
  RefuseAll(awaiting_scrub_, why);
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
