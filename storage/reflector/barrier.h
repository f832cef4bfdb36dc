// Makes requests wait until the index is as new as the backend was when they came in (Raft's
// ReadIndex, for a cache).
//
// All requests that arrive before a read of the backend's revision is sent share that read; then
// each waits until the watch has reached the revision that the read found. One read is in flight at
// a time.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"

namespace strata::reflector {

class Barrier {
 public:
  struct Options {
    size_t max_waiters = 100'000;  // requests
    // Of one read; and of each request, from its arrival until the watch has come as far as the
    // read, whatever else its deadline would allow: whoever can't be told in this time that the
    // index is current is told that it can't be known.
    std::chrono::milliseconds read_timeout{5'000};
    // How long reads may fail before requests are told so: an election or a restarted member is
    // over sooner.
    std::chrono::milliseconds patience{2'000};
    // How long the watch may lag behind what a read told before that is said.
    std::chrono::milliseconds lag_patience{500};
    // While somebody waits for the watch, progress is asked for again this often.
    std::chrono::milliseconds progress_interval{20};
    // While nobody waits: so that the revision to resume from isn't compacted away.
    std::chrono::milliseconds idle_interval{60'000};
    // Between two reads while nobody asks, so that what would fail is known before somebody does;
    // and between two that fail.
    std::chrono::milliseconds probe_interval{1'000};
    std::chrono::milliseconds failure_interval{100};
    // How far apart watches of one source may be, so that two servers can have told its changes in
    // different orders; 0: there is one order. See StartOf.
    std::chrono::milliseconds disorder{0};
  };

  // How far the watch has to come. Where progress notifications can't be trusted, a read tells
  // instead the newest change in our range and the number of its keys; a watch that has both has
  // seen everything.
  struct Target {
    base::Revision revision = 0;        // the backend's, when it was read
    base::Revision newest_change = -1;  // of our range; -1: not asked
    int64_t keys = -1;
  };

  // What the barrier needs of the backend. Called on the barrier's threads.
  class Backend {
   public:
    virtual ~Backend() = default;
    // Linearizable: not older than anything that was acknowledged before the call.
    virtual base::StatusOr<Target> Read(base::MonotonicTime deadline) = 0;
    // Whether a Read would succeed, as cheaply as can be told.
    virtual base::Status Probe(base::MonotonicTime deadline) = 0;
    // Asks the watch for a progress notification. Doesn't wait for it.
    virtual void RequestProgress() = 0;
    // Reads have told a revision that the watch hasn't reached for `lag_patience`. Called again and
    // again while it is so. Doesn't wait.
    virtual void WatchLags() = 0;
    // The backend went back in time (a restored snapshot): list anew.
    virtual void Restored() = 0;
  };

  // Whose revision it is that a caller names.
  enum class Origin {
    kBackend,  // an object's, perhaps: nothing up to it may be still to come
    kIndex,    // one that records were read at here, or at another server: there ours is to be
  };

  using Done = std::function<void(base::StatusOr<base::Revision>)>;
  static constexpr base::Revision kNever = std::numeric_limits<base::Revision>::max();

  Barrier(const Options& options, Backend& backend, const base::Clock& clock,
          obs::Metrics& metrics);
  // Answers whoever still waits with kCancelled. Stop must have been called, or nobody waits any
  // more.
  ~Barrier();

  void Start();
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // `done` gets the index's revision once it is current: inline, or on another thread. Must be
  // cheap and not block. Errors: kFailedPrecondition before the first list, kUnavailable if the
  // backend can't be read, kDeadlineExceeded, kResourceExhausted if too many wait. `requests` is
  // how many wait with this call: whoever has several at a time spares the rest the locks.
  // kUnavailable too when read_timeout is over; kDeadlineExceeded only for the caller's own
  // `deadline`.
  void WaitFresh(base::MonotonicTime deadline, Done done, size_t requests = 1)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The same for a revision that the caller names: no read. kOutOfRange if it hasn't come by the
  // deadline.
  void WaitFor(base::Revision revision, base::MonotonicTime deadline, Done done,
               Origin origin = Origin::kBackend) ABSL_LOCKS_EXCLUDED(mu_);

  // Where a watch has to begin that goes on behind revision `named`, which another server may have
  // told: there, unless the orders of changes differ; then so much earlier that nothing is missed,
  // and what came in that time is told again.
  base::Revision StartOf(base::Revision named) const ABSL_LOCKS_EXCLUDED(mu_);

  // The index's revision; 0 before the first list.
  base::Revision current() const ABSL_LOCKS_EXCLUDED(mu_);
  // Up to which revision WaitFor needn't wait.
  base::Revision Come(Origin origin) const ABSL_LOCKS_EXCLUDED(mu_);

  // The reflector's thread tells how far the index is. `keys` is the number of keys in our range,
  // `change` the revision of the newest change. After a list the revision may be lower than before:
  // who waits then asks the backend again. A list alone attaches nothing: what changed while it was
  // made, only a watch behind it brings. Of a source that has several watches, one may be ahead
  // of another: up to `complete` nothing is still to come.
  void Publish(base::Revision revision, base::Revision change, int64_t keys, bool after_list,
               base::Revision complete = kNever) ABSL_LOCKS_EXCLUDED(mu_);

  // The watch broke, so the backend may have become one with another history: until Attach
  // revisions can't be compared, and everybody waits.
  void Detach() ABSL_LOCKS_EXCLUDED(mu_);
  // The backend was seen to have the index's history, and a watch to go on in it.
  void Attach() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Waiter {
    base::MonotonicTime arrived;
    base::MonotonicTime deadline;
    bool own_deadline = true;  // the caller's, not read_timeout's
    Target target;
    bool named = false;  // by the caller: WaitFor
    Done done;
    size_t requests = 1;
    base::MonotonicTime read_at = base::MonotonicTime::max();  // when a read told the target
    Origin origin = Origin::kBackend;                          // of what is named
  };
  using Waiters = std::vector<Waiter>;
  // What came in a short time.
  struct Passed {
    base::MonotonicTime since;
    base::Revision first, last;  // of the index, at `since` and at the end
  };

  bool Reached(const Target& target) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Revision ComeOf(Origin origin) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return origin == Origin::kIndex ? published_ : std::min(published_, complete_);
  }
  bool Reached(const Waiter& waiter) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return waiter.named ? ComeOf(waiter.origin) >= waiter.target.revision : Reached(waiter.target);
  }
  // Moves those of `from` that `out` accepts to the result.
  template <typename Accept>
  static Waiters Extract(Waiters& from, const Accept& accept);
  void NotePassed(bool after_list) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Complete(const Waiters& waiters, const base::StatusOr<base::Revision>& result);
  void Enqueue(Waiter waiter) ABSL_LOCKS_EXCLUDED(mu_);
  // Those for whom the watch has come far enough.
  Waiters TakeReached() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AwaitWatch(Waiter waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadLoop() ABSL_LOCKS_EXCLUDED(mu_);
  void ReadOnce() ABSL_LOCKS_EXCLUDED(mu_);
  void ProbeOnce() ABSL_LOCKS_EXCLUDED(mu_);
  void Pause(std::chrono::milliseconds time) ABSL_LOCKS_EXCLUDED(mu_);
  void TimeLoop() ABSL_LOCKS_EXCLUDED(mu_);
  void Expire() ABSL_LOCKS_EXCLUDED(mu_);
  bool somebody_waits() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !queued_.empty() || !in_flight_.empty() || !reading_done_.empty();
  }

  const Options options_;
  Backend& backend_;
  const base::Clock& clock_;

  const obs::Counter reads_;
  const obs::Counter read_errors_;
  const obs::Histogram batch_size_;
  const obs::Histogram wait_seconds_;

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool attached_ ABSL_GUARDED_BY(mu_) = true;
  base::Revision published_ ABSL_GUARDED_BY(mu_) = 0;
  base::Revision complete_ ABSL_GUARDED_BY(mu_) = kNever;
  base::Revision newest_change_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t keys_ ABSL_GUARDED_BY(mu_) = 0;
  bool backend_fails_ ABSL_GUARDED_BY(mu_) = false;  // the last read or probe did
  // When the index came to which revision, where orders differ: since the last list, oldest first.
  std::deque<Passed> passed_ ABSL_GUARDED_BY(mu_);
  // Before the last list: what came earlier than passed_ knows can't be told again.
  base::Revision untold_ ABSL_GUARDED_BY(mu_) = 0;
  Waiters queued_ ABSL_GUARDED_BY(mu_);        // for the next read
  Waiters in_flight_ ABSL_GUARDED_BY(mu_);     // share the read that is on its way
  Waiters reading_done_ ABSL_GUARDED_BY(mu_);  // wait for the watch
  // Nobody in reading_done_ is reached before this; the least revision if some wait for a change
  // and a count.
  base::Revision nearest_ ABSL_GUARDED_BY(mu_) = kNever;
  // The first read whose target somebody in reading_done_ waits for.
  base::MonotonicTime oldest_read_ ABSL_GUARDED_BY(mu_) = base::MonotonicTime::max();
  base::MonotonicTime earliest_deadline_ ABSL_GUARDED_BY(mu_) = base::MonotonicTime::max();

  std::atomic<size_t> waiting_ = 0;  // requests

  // The reader's own.
  bool watch_lags_ = true;  // the last read was ahead of the watch
  base::MonotonicTime failing_since_ = base::MonotonicTime::max();

  std::thread reader_;
  std::thread timer_;
};

}  // namespace strata::reflector
