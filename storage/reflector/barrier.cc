#include "storage/reflector/barrier.h"

#include <absl/time/time.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace strata::reflector {
namespace {

const std::vector<double> kWaitBuckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                          0.025,  0.05,    0.1,    0.5,   1,      5};
// Of what is kept of when the index came where: a quarter of an hour.
constexpr std::chrono::milliseconds kPassedInterval{500};
constexpr size_t kMostPassed = 1'800;

const std::vector<double> kBatchBuckets = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};

}  // namespace

Barrier::Barrier(const Options& options, Backend& backend, const base::Clock& clock,
                 obs::Metrics& metrics)
    : options_(options),
      backend_(backend),
      clock_(clock),
      reads_(
          metrics.AddCounter("strata_freshness_reads_total", "Reads of the backend's revision.")),
      read_errors_(
          metrics.AddCounter("strata_freshness_read_errors_total", "Such reads that failed.")),
      batch_size_(metrics.AddHistogram("strata_freshness_batch_size",
                                       "Requests that shared one read.", kBatchBuckets)),
      wait_seconds_(metrics.AddHistogram("strata_freshness_wait_seconds",
                                         "Time that requests waited for the index to be current.",
                                         kWaitBuckets)) {
  metrics.AddGaugeFunction("strata_index_revision", "Revision of the backend that the index shows.",
                           {}, [this] { return static_cast<double>(current()); });
  metrics.AddGaugeFunction("strata_freshness_waiters",
                           "Requests that wait for the index to be current.", {},
                           [this] { return static_cast<double>(waiting_); });
}

Barrier::~Barrier() {
  Stop();
}

void Barrier::Start() {
  reader_ = std::thread([this] { ReadLoop(); });
  timer_ = std::thread([this] { TimeLoop(); });
}

void Barrier::Stop() {
  Waiters all;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    for (Waiters* list : {&queued_, &in_flight_, &reading_done_}) {
      std::move(list->begin(), list->end(), std::back_inserter(all));
      list->clear();
    }
  }
  Complete(all, base::CancelledError("shutting down"));
  if (reader_.joinable()) reader_.join();
  if (timer_.joinable()) timer_.join();
}

base::Revision Barrier::current() const {
  absl::MutexLock lock(&mu_);
  return published_;
}

base::Revision Barrier::Come(Origin origin) const {
  absl::MutexLock lock(&mu_);
  return ComeOf(origin);
}

bool Barrier::Reached(const Target& target) const {
  if (!attached_) return false;
  if (published_ >= target.revision) return true;
  // No put is missing that the read saw, and so many keys as it counted are left: neither is a
  // deletion.
  return target.newest_change >= 0 && newest_change_ >= target.newest_change &&
         keys_ == target.keys;
}

template <typename Accept>
Barrier::Waiters Barrier::Extract(Waiters& from, const Accept& accept) {
  const auto first =
      std::stable_partition(from.begin(), from.end(), [&](const Waiter& w) { return !accept(w); });
  Waiters out(std::make_move_iterator(first), std::make_move_iterator(from.end()));
  from.erase(first, from.end());
  return out;
}

void Barrier::Complete(const Waiters& waiters, const base::StatusOr<base::Revision>& result) {
  const auto now = clock_.Now();
  for (const Waiter& waiter : waiters) {
    wait_seconds_.Observe(std::chrono::duration<double>(now - waiter.arrived).count(),
                          waiter.requests);
    waiting_ -= waiter.requests;
    waiter.done(result);
  }
}

void Barrier::Enqueue(Waiter waiter) {
  base::StatusOr<base::Revision> result = 0;
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) {
      result = base::CancelledError("shutting down");
    } else if (published_ == 0) {
      result = base::FailedPreconditionError("the index isn't complete yet");
    } else if (waiter.named && Reached(waiter)) {
      result = published_;
    } else if (waiting_ + waiter.requests > options_.max_waiters) {
      result = base::ResourceExhaustedError("too many requests wait for the storage backend");
    } else {
      waiting_ += waiter.requests;
      earliest_deadline_ = std::min(earliest_deadline_, waiter.deadline);
      if (waiter.named) {
        AwaitWatch(std::move(waiter));
      } else {
        queued_.push_back(std::move(waiter));
      }
      return;
    }
  }
  waiter.done(result);
}

void Barrier::WaitFresh(base::MonotonicTime deadline, Done done, size_t requests) {
  const auto now = clock_.Now();
  const auto patience = now + options_.read_timeout;
  Enqueue({now,
           std::min(deadline, patience),
           deadline <= patience,
           {},
           false,
           std::move(done),
           requests});
}

void Barrier::WaitFor(base::Revision revision, base::MonotonicTime deadline, Done done,
                      Origin origin) {
  Enqueue({.arrived = clock_.Now(),
           .deadline = deadline,
           .target = {revision, -1, -1},
           .named = true,
           .done = std::move(done),
           .origin = origin});
}

void Barrier::AwaitWatch(Waiter waiter) {
  nearest_ = std::min(nearest_, waiter.target.newest_change >= 0 ? 0 : waiter.target.revision);
  oldest_read_ = std::min(oldest_read_, waiter.read_at);
  reading_done_.push_back(std::move(waiter));
}

Barrier::Waiters Barrier::TakeReached() {
  if (published_ < nearest_ || !attached_) return {};
  Waiters reached = Extract(reading_done_, [&](const Waiter& w) {
    mu_.AssertHeld();
    return Reached(w);
  });
  nearest_ = kNever;
  oldest_read_ = base::MonotonicTime::max();
  for (const Waiter& waiter : reading_done_) {
    nearest_ = std::min(nearest_, waiter.target.newest_change >= 0 ? 0 : waiter.target.revision);
    oldest_read_ = std::min(oldest_read_, waiter.read_at);
  }
  return reached;
}

void Barrier::Publish(base::Revision revision, base::Revision change, int64_t keys, bool after_list,
                      base::Revision complete) {
  Waiters reached;
  base::Revision published;
  {
    absl::MutexLock lock(&mu_);
    published_ = after_list ? revision : std::max(published_, revision);
    complete_ = complete;
    newest_change_ = after_list ? change : std::max(newest_change_, change);
    keys_ = keys;
    published = published_;
    if (options_.disorder.count() > 0) NotePassed(after_list);
    reached = TakeReached();
    if (after_list) {
      // What they wait for may be of a history that is no more.
      oldest_read_ = base::MonotonicTime::max();
      for (Waiter& waiter : Extract(reading_done_, [](const Waiter& w) { return !w.named; })) {
        waiter.read_at = oldest_read_;
        queued_.push_back(std::move(waiter));
      }
    }
  }
  Complete(reached, published);
}

void Barrier::NotePassed(bool after_list) {
  const auto now = clock_.Now();
  if (after_list) {
    passed_.clear();
    untold_ = published_ - 1;
  }
  // The first is the list.
  if (passed_.size() > 1 && now - passed_.back().since < kPassedInterval) {
    passed_.back().last = published_;
    return;
  }
  if (passed_.size() == kMostPassed) passed_.pop_front();
  passed_.push_back({now, published_, published_});
}

base::Revision Barrier::StartOf(base::Revision named) const {
  if (options_.disorder.count() == 0) return named;
  absl::MutexLock lock(&mu_);
  const auto reached =
      std::find_if(passed_.begin(), passed_.end(), [&](const auto& p) { return p.last >= named; });
  const auto before =
      (reached == passed_.end() ? clock_.Now() : reached->since) - options_.disorder;
  const auto later =
      std::find_if(passed_.begin(), passed_.end(), [&](const auto& p) { return p.since > before; });
  return std::min(named, later == passed_.begin() ? untold_ : std::prev(later)->first);
}

void Barrier::Detach() {
  absl::MutexLock lock(&mu_);
  attached_ = false;
}

void Barrier::Attach() {
  Waiters reached;
  base::Revision published;
  {
    absl::MutexLock lock(&mu_);
    attached_ = true;
    published = published_;
    reached = TakeReached();
  }
  Complete(reached, published);
}

void Barrier::ReadLoop() {
  while (true) {
    bool asked;
    {
      absl::MutexLock lock(&mu_);
      asked = mu_.AwaitWithTimeout(
          absl::Condition(
              +[](Barrier* self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(self->mu_) {
                return self->stopping_ || !self->queued_.empty();
              },
              this),
          absl::FromChrono(backend_fails_ ? options_.failure_interval : options_.probe_interval));
      if (stopping_) return;
      std::swap(queued_, in_flight_);
    }
    if (asked) {
      ReadOnce();
    } else {
      ProbeOnce();
    }
  }
}

void Barrier::ProbeOnce() {
  const bool fails = !backend_.Probe(clock_.Now() + options_.read_timeout).ok();
  if (!fails) failing_since_ = base::MonotonicTime::max();
  absl::MutexLock lock(&mu_);
  backend_fails_ = fails;
}

void Barrier::Pause(std::chrono::milliseconds time) {
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(time));
}

void Barrier::ReadOnce() {
  size_t batch = 0;
  base::Revision before;
  {
    absl::MutexLock lock(&mu_);
    for (const Waiter& waiter : in_flight_) batch += waiter.requests;
    before = published_;
  }
  if (batch == 0) return;  // all of them timed out meanwhile
  reads_.Increment();
  batch_size_.Observe(static_cast<double>(batch));
  // In parallel where it will be needed: in a backend whose revision hardly moves it would only
  // cost both sides.
  if (watch_lags_) backend_.RequestProgress();
  const auto target = backend_.Read(clock_.Now() + options_.read_timeout);

  Waiters finished;
  base::StatusOr<base::Revision> result = 0;
  bool restored = false, retry = false, ask = false;
  {
    absl::MutexLock lock(&mu_);
    backend_fails_ = !target.ok();
    if (!target.ok()) {
      read_errors_.Increment();
      // Not since the read began: what ends an election fails what waited for it.
      const auto now = clock_.Now();
      failing_since_ = std::min(failing_since_, now);
      retry = now - failing_since_ < options_.patience;
      if (!retry) {
        result = base::UnavailableError(base::Message(target.status()));
        finished = std::exchange(in_flight_, {});
      }
    } else {
      failing_since_ = base::MonotonicTime::max();
      // Nothing that was read after it was published can be older, unless the backend was put back.
      restored = target->revision < before && before <= published_;
      if (!restored && Reached(*target)) {
        watch_lags_ = false;
        result = published_;
        finished = std::exchange(in_flight_, {});
      } else if (!restored) {
        watch_lags_ = ask = true;
        for (Waiter& waiter : in_flight_) {
          waiter.target = *target;
          waiter.read_at = clock_.Now();
          AwaitWatch(std::move(waiter));
        }
        in_flight_.clear();
      }
    }
    if (restored || retry) {
      std::move(in_flight_.begin(), in_flight_.end(), std::back_inserter(queued_));
      in_flight_.clear();
    }
  }
  Complete(finished, result);
  // A notification that was asked for with the read may be of a revision just before it.
  if (ask) backend_.RequestProgress();
  if (restored) backend_.Restored();
  if (restored || retry) Pause(options_.progress_interval);
  // Each may be a new connection, with a handshake.
  if (!target.ok() && !retry) Pause(options_.failure_interval);
}

// Enforces deadlines, and asks for progress while somebody waits for it, or says that it lags.
void Barrier::TimeLoop() {
  while (true) {
    bool ask, lags;
    {
      absl::MutexLock lock(&mu_);
      const bool somebody =
          mu_.AwaitWithTimeout(absl::Condition(
                                   +[](Barrier* self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(self->mu_) {
                                     return self->stopping_ || self->somebody_waits();
                                   },
                                   this),
                               absl::FromChrono(options_.idle_interval));
      if (stopping_) return;
      ask = !somebody || !reading_done_.empty();
      if (reading_done_.empty()) oldest_read_ = base::MonotonicTime::max();
      lags = attached_ && oldest_read_ < clock_.Now() - options_.lag_patience;
    }
    if (ask) backend_.RequestProgress();
    if (lags) backend_.WatchLags();
    Pause(options_.progress_interval);
    Expire();
  }
}

void Barrier::Expire() {
  Waiters expired, impatient, named;
  base::Revision published;
  std::string why;
  {
    absl::MutexLock lock(&mu_);
    const auto now = clock_.Now();
    if (now < earliest_deadline_) return;
    published = ComeOf(Origin::kBackend);
    why = attached_ ? "the storage backend didn't answer in time"
                    : "the watch of the storage backend is away";
    earliest_deadline_ = oldest_read_ = base::MonotonicTime::max();
    for (Waiters* list : {&queued_, &in_flight_, &reading_done_}) {
      for (Waiter& waiter : Extract(*list, [&](const Waiter& w) { return w.deadline <= now; })) {
        Waiters& end = waiter.named ? named : waiter.own_deadline ? expired : impatient;
        end.push_back(std::move(waiter));
      }
      for (const Waiter& waiter : *list) {
        earliest_deadline_ = std::min(earliest_deadline_, waiter.deadline);
        oldest_read_ = std::min(oldest_read_, waiter.read_at);
      }
    }
  }
  Complete(expired, base::DeadlineExceededError(why));
  Complete(impatient, base::UnavailableError(why));
  Complete(named,
           base::OutOfRangeError(fmt::format("the storage backend is at revision {}", published)));
}

}  // namespace strata::reflector
