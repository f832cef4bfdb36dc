#include "storage/replica/replica.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/engine/layout.h"

namespace strata::replica {
namespace {

// Nothing if there is no file, or it can't be told.
engine::tree::Usage UsageOf(const Edition* edition) {
  if (edition == nullptr) return {};
  const auto usage = edition->Measure();
  return usage.ok() ? *usage : engine::tree::Usage();
}

// What is forgotten at a time: a millisecond or two, in which no change is written.
constexpr size_t kForgetChanges = 256;

// How long the file before the last list is kept, for requests that began at its revision.
constexpr std::chrono::seconds kPreviousTime{60};

// How often it is seen whether there is room again.
constexpr std::chrono::seconds kRoomInterval{10};

// A list is asked for when there is room for what there was, and so much more.
constexpr int64_t kSpareBytes = int64_t{64} << 20;

}  // namespace

base::StatusOr<std::unique_ptr<Replica>> Replica::Create(
    client::Client* client, const records::Keys& keys, const Options& options,
    const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics) {
  STRATA_ASSIGN_OR_RETURN(auto dir, CacheDir::Open(options.cache_dir));
  if (dir->exposed()) {
    log.Warning("Others may look into the cache directory; chmod 700 it",
                {{"directory", dir->path()}});
  }
  return std::unique_ptr<Replica>(
      new Replica(std::move(dir), client, keys, options, clock, log, metrics));
}

Replica::Replica(std::unique_ptr<CacheDir> dir, client::Client* client, const records::Keys& keys,
                 const Options& options, const base::Clock& clock, const obs::Logger& log,
                 obs::Metrics& metrics)
    : dir_(std::move(dir)),
      keys_(keys),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      backend_(client == nullptr ? std::nullopt
                                 : std::optional<BackendReader>(std::in_place, *client, keys)),
      horizon_(options.history_age, options.history_bytes),
      retry_(options.retry) {}

void Replica::BeginList() {
  DropPrevious();  // so that there are two files at most
  auto made = Edition::Make(*dir_, keys_);
  next_failure_ = made.status();
  if (made.ok()) next_ = *std::move(made);
}

void Replica::ListPage(const std::vector<records::Change>& page) {
  if (next_ != nullptr) next_->AddPage(page);
}

void Replica::AbortList() {
  next_.reset();
}

void Replica::EndList(base::Revision revision) {
  told_ = revision;
  const std::shared_ptr<Edition> next = std::move(next_);
  const base::Status ended = next == nullptr ? next_failure_ : next->EndList(revision);
  if (!ended.ok()) {
    const bool other_goes = writing_ != nullptr;
    GiveUp(ended, next.get());
    if (!other_goes) return;
    // There may be room for one where there wasn't for two.
    absl::MutexLock lock(&mu_);
    retry_at_ = clock_.Now();
    return;
  }
  metrics_.lists.Increment();
  const bool unchanged =
      writing_ != nullptr && !writing_->damaged() && next->Continues(*writing_).value_or(false);
  if (unchanged) {
    metrics_.lists_unchanged.Increment();
    writing_->Reach(revision);
  } else {
    Replace(next);
  }
  Measure();
}

void Replica::Replace(std::shared_ptr<Edition> by) {
  writing_ = std::move(by);
  horizon_.Clear();
  forgotten_ = true;
  retry_.Reset();
  if (writing_->partial()) {
    log_.Warning("Some keys are too long for the replica: lists are read from the backend",
                 {{"max_bytes", engine::kMaxKeyBytes}});
  }
  Held before;  // which ends without the lock
  absl::MutexLock lock(&mu_);
  before = std::exchange(current_, writing_);
  // One that was put back may have other records at the revisions of what it left.
  const bool put_back = before != nullptr && current_->newest() < before->newest();
  previous_ = put_back ? nullptr : before;
  lost_ = base::OkStatus();
  ++epoch_;
  previous_until_ = clock_.Now() + kPreviousTime;
}

void Replica::DropPrevious() {
  Held dropped;  // which ends without the lock
  absl::MutexLock lock(&mu_);
  dropped.swap(previous_);
}

void Replica::Apply(const std::vector<reflector::Batch>& batches, base::Revision revision) {
  told_ = revision;
  if (writing_ == nullptr) return;
  const base::Status written =
      writing_->damaged() ? base::DataLossError("its file is damaged") : Write(batches, revision);
  if (!written.ok()) GiveUp(written, writing_.get());
}

base::Status Replica::Write(const std::vector<reflector::Batch>& batches, base::Revision revision) {
  const auto now = clock_.Now();
  size_t changes = 0;
  if (!batches.empty()) {
    STRATA_ASSIGN_OR_RETURN(const size_t bytes, writing_->Append(batches));
    horizon_.Add(now, batches.back().revision, bytes);
    for (const reflector::Batch& batch : batches) changes += batch.changes.size();
  }
  writing_->Reach(revision);
  metrics_.newest.Set(static_cast<double>(revision));
  if (const base::Revision passed = horizon_.Pass(now); passed != 0) {
    forget_ = passed;
    forgotten_ = false;
  }
  const bool forgets = !forgotten_;
  if (forgets) {
    // More than come, so that it comes to an end.
    STRATA_ASSIGN_OR_RETURN(forgotten_,
                            writing_->Forget(forget_, std::max(kForgetChanges, 2 * changes)));
  }
  if (now >= previous_until_) {
    DropPrevious();
    previous_until_ = base::MonotonicTime::max();
  }
  if (forgets || changes > 0) Measure();
  return base::OkStatus();
}

void Replica::GiveUp(const base::Status& why, const Edition* failed) {
  metrics_.errors.Increment();
  const auto usage = UsageOf(failed);
  const uint64_t needed = usage.file_bytes + usage.file_bytes / 4 + kSpareBytes;
  log_.Error(
      "The replica of the records is given up: lists and watches are refused, until there "
      "is room and all is listed anew",
      {{"directory", dir_->path()}, {"needed_bytes", needed}, {"err", why}});
  writing_.reset();
  Held current, previous;  // which end without the lock
  {
    absl::MutexLock lock(&mu_);
    current.swap(current_);
    previous.swap(previous_);
    lost_ = base::UnavailableError(
        fmt::format("the replica of the records was given up: {}", base::Message(why)));
    retry_at_ = clock_.Now() + retry_.Next();
    needed_bytes_ = needed;
  }
  Measure();
}

bool Replica::needs_list() {
  uint64_t needed = 0;
  {
    absl::MutexLock lock(&mu_);
    if (lost_.ok() || clock_.Now() < retry_at_) return false;
    retry_at_ = clock_.Now() + kRoomInterval;
    needed = needed_bytes_;
  }
  return dir_->Room() >= needed;
}

void Replica::Measure() {
  const bool ready = writing_ != nullptr;
  metrics_.ready.Set(ready ? 1 : 0);
  metrics_.records.Set(ready ? static_cast<double>(writing_->records()) : 0);
  metrics_.history_bytes.Set(ready ? static_cast<double>(horizon_.bytes()) : 0);
  metrics_.oldest.Set(static_cast<double>(oldest()));
  metrics_.newest.Set(static_cast<double>(told_.load()));
  const auto usage = UsageOf(writing_.get());
  metrics_.file_bytes.Set(static_cast<double>(usage.file_bytes));
  metrics_.used_bytes.Set(static_cast<double>(usage.used_bytes));
}

base::StatusOr<Replica::Held> Replica::Holding(base::Revision revision) const {
  absl::MutexLock lock(&mu_);
  if (!lost_.ok()) return lost_;
  for (const Held& held : {current_, previous_})
    if (held != nullptr && held->Has(revision)) return held;
  return Held();
}

template <typename Result>
base::StatusOr<Result> Replica::Noted(const Edition& read, base::StatusOr<Result> result) {
  if (absl::IsDataLoss(result.status())) read.NoteDamage();
  return result;
}

base::Revision Replica::oldest() const {
  absl::MutexLock lock(&mu_);
  return current_ == nullptr ? told_.load() : current_->oldest();
}

base::StatusOr<Page> Replica::Read(const Selection& selection) const {
  STRATA_ASSIGN_OR_RETURN(const Held held, Holding(selection.revision));
  if (held != nullptr && !held->partial()) {
    auto page = Noted(*held, held->reading().Read(selection));
    if (!absl::IsOutOfRange(page.status())) return page;
  }
  if (!backend_) return base::OutOfRangeError("the revision is forgotten");
  metrics_.backend_reads.Increment();
  return backend_->Read(selection);
}

base::StatusOr<std::optional<records::Change>> Replica::Find(const records::Id& id,
                                                             base::Revision revision,
                                                             base::MonotonicTime deadline) const {
  const auto holding = Holding(revision);
  if (!backend_) STRATA_RETURN_IF_ERROR(holding.status());
  const Held held = holding.value_or(nullptr);
  if (held != nullptr && (!held->partial() || engine::KeyFits(keys_.KeyOf(id)))) {
    auto found = Noted(*held, held->reading().Find(id, revision));
    if (!absl::IsOutOfRange(found.status())) return found;
  }
  if (!backend_) return base::OutOfRangeError("the revision is forgotten");
  metrics_.backend_reads.Increment();
  return backend_->Find(id, revision, deadline);
}

base::StatusOr<base::Revision> Replica::Changes(const Interval& interval,
                                                absl::FunctionRef<void(Event)> visit) const {
  Held current;
  {
    absl::MutexLock lock(&mu_);
    STRATA_RETURN_IF_ERROR(lost_);
    current = current_;
  }
  if (current == nullptr) return base::UnavailableError("the records aren't listed yet");
  return Noted(*current, current->reading().Changes(interval, visit));
}

}  // namespace strata::replica
