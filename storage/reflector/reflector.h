// Keeps a consumer equal to the backend: lists all records as of one revision, then watches from
// there.
//
// One watch spans images and streams, so their changes come in one order. Where it ends, what
// follows must be the history that the consumer has been told, and not that of a backend which was
// restored from a snapshot meanwhile.
//
// Nothing that can be asked proves that. A restored etcd has the cluster id and the member ids of
// the one before it if it was restored with the same flags; its terms, its log's index and its
// revision begin lower, but pass the old ones in time; and the same keys may have come to the same
// revisions, in the same number, with other values. (HashKV is a CRC of everything that isn't
// compacted, at a revision that must have been asked for before. Comparing all keys and values at
// our revision is a list.) kine says no cluster id at all.
//
// So a history is followed by its processes. A process of etcd only moves forward in its history
// while it lives, and a stream is of one process:
// 1. A list is made while a stream is open, which was answered on before the list began; then the
//    watch is asked for on this stream, and the list counts once that is answered. The process that
//    was there before it is there after it.
// 2. While the watch goes on, a second stream is kept open, of another member if there are several
//    (Standby). It was opened, and said to be of the same cluster, before the watch's process has
//    shown that it still lives. So both live at that time, and have one history.
// 3. When the watch ends, it goes on where it was only on that second stream, which has been open
//    all the time. If that is gone too, all is listed anew, while the consumer keeps what it has.
// 4. A freshness read has a connection of its own. What the first one tells over a new connection
//    counts once the watch's process, or that of the second stream, has shown that it still lives.
// What is taken for granted: the endpoints are members of one cluster. It is put back only when
// none of its processes is left, as etcd's disaster recovery asks for (where one is, it finds
// itself among members with its ids and other histories, and ends). And nothing between us and them
// keeps a stream open when its process ends (etcd's own gRPC proxy does).
//
// So is a compacted watch answered by a fresh list, and a backend that goes back in time.
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

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/backoff.h"
#include "storage/client/client.h"
#include "storage/client/watch.h"
#include "storage/records/keys.h"
#include "storage/reflector/barrier.h"
#include "storage/reflector/events.h"
#include "storage/reflector/health.h"
#include "storage/reflector/lister.h"
#include "storage/reflector/source.h"
#include "storage/reflector/standby.h"

namespace strata::reflector {

class Reflector final : public Source, private Barrier::Backend {
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

  void Start() override;
  void Stop() override ABSL_LOCKS_EXCLUDED(mu_);
  Barrier& barrier() override { return barrier_; }
  bool synced() const override { return barrier_.current() != 0; }

  // Whether another stream could take over from the watch's.
  bool has_standby() const { return standby_.ready(); }

  // OK while the watch is open and reads succeed.
  base::Status connection() const override { return health_.status(); }

 private:
  // Why the watch ended, which decides what follows.
  enum class End { kBroken, kCompacted, kRestored, kLost, kStopped };

  // The range that is listed and watched.
  KeyRange WholeRange() const;

  void Run();
  // Lists, and begins a watch from there.
  struct Listed {
    std::shared_ptr<client::Watch> watch;
    client::WatchMessage first;
  };
  base::StatusOr<Listed> ListAndWatch();
  base::StatusOr<Lister::Found> List(const client::RangeResult& now, const KeyRange& range)
      ABSL_LOCKS_EXCLUDED(mu_);
  void LearnVersion(const std::string& version, uint64_t cluster_id);
  // The watch that goes on where the last one ended, and its first message; nothing if all has to
  // be listed.
  std::optional<Standby::Taken> TakeStandby(const base::Status& why);
  // Until the watch ends, whose first message `first` is; `why` then says why it did.
  End Follow(client::Watch& watch, client::WatchMessage first, base::Status& why);
  void Deliver(client::WatchMessage message);
  void Pause(std::chrono::milliseconds time) ABSL_LOCKS_EXCLUDED(mu_);
  bool stopping() const ABSL_LOCKS_EXCLUDED(mu_);
  // False if all is about to end.
  bool SetWatch(std::shared_ptr<client::Watch> watch) ABSL_LOCKS_EXCLUDED(mu_);
  base::MonotonicTime ReadDeadline() const;
  void NoteRead(const base::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // A read for the barrier, of the watch's history.
  base::StatusOr<client::RangeResult> ReadDirectly(const client::RangeOptions& range,
                                                   base::MonotonicTime deadline);
  // What was just read is of the watch's history; Unavailable if that can't be known.
  base::Status EnsureHistory(base::MonotonicTime deadline);
  bool Prove(base::MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the watch, since all is to be listed; if it is still `watch`, where that isn't null. False
  // if it isn't, if there is none, or if it is ending so.
  bool ListAnew(End why, const client::Watch* watch = nullptr) ABSL_LOCKS_EXCLUDED(mu_);
  // If the consumer needs it.
  void ListIfLost() ABSL_LOCKS_EXCLUDED(mu_);
  // `what` shows that the backend was put back.
  void EndHistory(const char* what);
  void GiveWatchUp() ABSL_LOCKS_EXCLUDED(mu_);

  // Barrier::Backend, on the barrier's threads.
  base::StatusOr<Barrier::Target> Read(base::MonotonicTime deadline) override;
  base::Status Probe(base::MonotonicTime deadline) override;
  void RequestProgress() override ABSL_LOCKS_EXCLUDED(mu_);
  void WatchLags() override;
  void Restored() override;

  client::Client& client_;
  const records::Keys keys_;
  const client::RangeOptions one_key_;  // the cheapest read that tells the revision
  Consumer& consumer_;
  const Options options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const obs::Counter image_events_, stream_events_, watch_breaks_;
  const struct {
    obs::Counter start, broken, compacted, restored, lost;
  } relists_;  // by their reason
  const ListMetrics list_metrics_;
  Health health_;

  // The thread's own.
  base::Revision revision_ = 0;       // the consumer's
  base::Revision newest_change_ = 0;  // in our range
  int64_t key_count_ = 0;             // of our range, whatever they are
  bool progressed_ = true;            // the index has moved since it was listed
  client::Backoff backoff_;

  // Whether everything under the prefix is listed and watched, because the store can't do with our
  // range (kine).
  std::atomic<bool> whole_prefix_ = false;

  // Of the backend that was listed. 0: not etcd, but something like kine.
  std::atomic<uint64_t> cluster_id_ = 0;

  // Whether the watch's progress notifications can be believed (progress.h).
  std::atomic<bool> trust_progress_ = true;
  // A read came over a connection that was made since the watch was last seen to live, or the watch
  // lags and nobody can take over from it.
  std::atomic<bool> unproven_ = false;
  int failed_proofs_ = 0;              // in a row; the barrier's reader's own
  client::Cancellation cancellation_;  // of everything that Stop would have to wait for

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool following_ ABSL_GUARDED_BY(mu_) = false;     // watch_, which isn't null then
  std::optional<End> ended_ ABSL_GUARDED_BY(mu_);   // it was cancelled for that
  bool reads_failed_ ABSL_GUARDED_BY(mu_) = false;  // the last one did
  bool nudged_ ABSL_GUARDED_BY(mu_) = false;        // reads succeed again: a pause can end
  std::shared_ptr<client::Watch> watch_ ABSL_GUARDED_BY(mu_);        // while its stream is open
  std::shared_ptr<client::Cancellation> list_ ABSL_GUARDED_BY(mu_);  // of the one that goes on

  Barrier barrier_;
  Standby standby_;
  std::thread thread_;
};

}  // namespace strata::reflector
