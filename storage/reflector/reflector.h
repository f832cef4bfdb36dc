// Keeps a consumer equal to the backend: lists all records as of one revision, then watches from
// there.
//
// One watch spans images and streams, so their changes come in one order. A broken stream is
// resumed where it ended; a compacted one, or a backend that went back in time, is answered by a
// fresh list, while the consumer keeps what it has.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "storage/client/backoff.h"
#include "storage/client/client.h"
#include "storage/client/watch.h"
#include "storage/records/keys.h"
#include "storage/reflector/barrier.h"
#include "storage/reflector/events.h"
#include "storage/reflector/health.h"
#include "storage/reflector/lister.h"

namespace strata::reflector {

class Reflector : private Barrier::Backend {
 public:
  struct Options {
    ListOptions list{};
    client::Backoff::Options backoff{};
    Barrier::Options barrier{};
  };

  // `consumer` is called between Start and Stop.
  Reflector(client::Client& client, records::Keys keys, Consumer& consumer, const Options& options,
            const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics);
  ~Reflector() override;

  void Start();
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  Barrier& barrier() { return barrier_; }

  // Whether a list has been completed since Start.
  bool synced() const { return barrier_.current() != 0; }

  // OK while the watch is open and reads succeed; otherwise why not. Told by the log too, once each
  // time that it changes.
  base::Status connection() const { return health_.status(); }

 private:
  // Why the watch ended, which decides what follows.
  enum class End { kBroken, kCompacted, kRestored, kStopped };

  // The range that is listed and watched.
  KeyRange WholeRange() const;

  void Run();
  void LearnVersion();
  base::Status List();
  // Watches from the revision after `revision_` until the stream ends.
  End WatchOnce();
  // Nothing if the backend has the history that the index shows.
  std::optional<End> CheckTimeline(bool just_listed);
  End Follow(client::Watch& watch);
  void Deliver(client::WatchMessage message);
  void Pause(std::chrono::milliseconds time) ABSL_LOCKS_EXCLUDED(mu_);
  bool stopping() const ABSL_LOCKS_EXCLUDED(mu_);
  base::MonotonicTime ReadDeadline() const;
  void NoteRead(const base::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // Barrier::Backend, on the barrier's threads.
  base::StatusOr<Barrier::Target> Read(base::MonotonicTime deadline) override;
  base::Status Probe(base::MonotonicTime deadline) override;
  void RequestProgress() override ABSL_LOCKS_EXCLUDED(mu_);
  void Restored() override ABSL_LOCKS_EXCLUDED(mu_);

  client::Client& client_;
  const records::Keys keys_;
  const client::RangeOptions one_key_;  // the cheapest read that tells the revision
  Consumer& consumer_;
  const Options options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  obs::Metrics& metrics_;
  const obs::Counter image_events_, stream_events_, watch_breaks_;
  const ListMetrics list_metrics_;
  Health health_;

  // The thread's own.
  base::Revision revision_ = 0;       // the consumer's
  base::Revision newest_change_ = 0;  // in our range
  std::string newest_key_;            // what it changed
  bool newest_is_deletion_ = false;
  int64_t key_count_ = 0;    // of our range, whatever they are
  uint64_t cluster_id_ = 0;  // 0: not etcd, but something like kine
  bool just_listed_ = false;
  bool progressed_ = true;  // the index has moved since it was listed
  client::Backoff backoff_;

  // Whether everything under the prefix is listed and watched, because the store can't do with our
  // range (kine).
  std::atomic<bool> whole_prefix_ = false;

  std::atomic<uint64_t> raft_term_ = 0;  // the highest that was seen since the list

  // Whether progress notifications can be believed (etcd before 3.4.31 and 3.5.13 sent them too
  // early).
  std::atomic<bool> trust_progress_ = true;
  client::Cancellation cancellation_;  // of everything that Stop would have to wait for

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool restored_ ABSL_GUARDED_BY(mu_) = false;
  bool reads_failed_ ABSL_GUARDED_BY(mu_) = false;  // the last one did
  bool nudged_ ABSL_GUARDED_BY(mu_) = false;        // reads succeed again: a pause can end
  std::shared_ptr<client::Watch> watch_ ABSL_GUARDED_BY(mu_);        // while it is open
  std::shared_ptr<client::Cancellation> list_ ABSL_GUARDED_BY(mu_);  // of the one that goes on

  Barrier barrier_;
  std::thread thread_;
};

// Whether etcd of this version, "3.5.9", is known to send progress notifications before the events
// that they cover (etcd issue 15220 and its backports).
bool ProgressIsKnownWrong(const std::string& version);

}  // namespace strata::reflector
