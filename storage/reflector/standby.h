// A second stream to the backend, on another member where there are several, which takes over from
// the watch's when that one ends or falls silent.
//
// What it is for: the history that the index shows may be continued only by a process that has this
// history, and once a connection is broken nothing that etcd says of itself proves that
// (reflector.h). A stream that was open before the other one ended, and still is, needs no proof.
//
// It costs the backend a stream and a watch of one key that never changes. Only when it is needed
// it asks for the watch proper, from the revision that the index has.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/obs/metrics.h"
#include "storage/client/backoff.h"
#include "storage/client/client.h"
#include "storage/client/watch.h"
#include "storage/reflector/key_range.h"

namespace strata::reflector {

// Has one thread, which opens the stream, listens to it, and opens another when it breaks. All
// calls may come from any thread.
class Standby {
 public:
  // `current` tells the index's revision; called with a lock held.
  Standby(client::Client& client, std::string probe, const client::Backoff::Options& backoff,
          const base::Clock& clock, std::function<base::Revision()> current, obs::Metrics& metrics);
  ~Standby();

  void Start();
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // From now on it stands by for `watch`, which somebody listens to, of `range` in this cluster.
  void StandBy(std::shared_ptr<client::Watch> watch, uint64_t cluster_id, KeyRange range)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What it has is of no use any more: all is listed anew.
  void Dismiss() ABSL_LOCKS_EXCLUDED(mu_);

  // Whether Take would get something, if it had to be now. Not of a stream that was asked for
  // something and has been silent for a while.
  bool ready() const ABSL_LOCKS_EXCLUDED(mu_);

  // The watch lags, or its member may be silent: if this one has what comes after the index's
  // revision first, however late that is, the watch is cancelled, and Take gets it at once. Called
  // again while it lags. Nothing happens if there is no stream.
  void Race() ABSL_LOCKS_EXCLUDED(mu_);

  // Its stream, if the process of that has our history, or null. For signs of life alone.
  std::shared_ptr<client::Watch> stream() const ABSL_LOCKS_EXCLUDED(mu_);

  // The watch is over: its stream, with the watch from the revision after `seen` or from before it,
  // and the first message of it that counts. Nothing if it has none that is known to have our
  // history, or if it doesn't answer in time.
  struct Taken {
    std::shared_ptr<client::Watch> watch;
    client::WatchMessage first;
    std::string version;  // of the server; empty if it doesn't tell
  };
  std::optional<Taken> Take(base::Revision seen, base::MonotonicTime deadline)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  enum class Phase {
    kNone,     // there is no stream, or not known to be of our history
    kReady,    // it is open, and asked for nothing
    kBegun,    // it was asked for the watch
    kOffered,  // and has answered; the thread waits until it is taken
  };

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // False at the end.
  bool AwaitWatch() ABSL_LOCKS_EXCLUDED(mu_);
  // Returns when the stream is over, or somebody else's.
  void StandByOnce(size_t turn) ABSL_LOCKS_EXCLUDED(mu_);
  bool Prove(client::Watch& stream, client::Watch& watch, uint64_t cluster_id,
             std::string* version);
  void Listen(client::Watch& stream, client::Watch& watch) ABSL_LOCKS_EXCLUDED(mu_);
  void Begin(base::Revision seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpectAnswer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  client::Client& client_;
  const std::string probe_;
  const base::Clock& clock_;
  const std::function<base::Revision()> current_;
  const obs::Counter takeovers_;
  client::Backoff backoff_;  // the thread's own
  client::Cancellation cancellation_;

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<client::Watch> watch_ ABSL_GUARDED_BY(mu_);  // that it stands by for
  uint64_t cluster_id_ ABSL_GUARDED_BY(mu_) = 0;
  KeyRange range_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<client::Watch> stream_ ABSL_GUARDED_BY(mu_);
  std::string version_ ABSL_GUARDED_BY(mu_);
  bool trust_progress_ ABSL_GUARDED_BY(mu_) = true;  // see progress.h
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kNone;
  // When the stream, which was asked for something and has said nothing since, counts as silent.
  base::MonotonicTime silent_from_ ABSL_GUARDED_BY(mu_) = base::MonotonicTime::max();
  bool wanted_ ABSL_GUARDED_BY(mu_) = false;  // by Take: whatever it says is an answer
  client::WatchMessage first_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace strata::reflector
