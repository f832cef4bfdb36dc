// The Watch service.
//
// A stream keeps no events: it knows how far each of its watches has come, and reads on from there
// in the store's history when the answer before has gone out. A slow client costs one answer of
// memory, however far it lags. Commits that come faster than many watches of one stream can be
// answered gather: each watch then gets several in one answer.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "lib/obs/metrics.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/engine/store.h"
#include "storage/rpc/convert.h"

namespace strata::rpc {

struct WatchOptions {
  // Bounds on what clients can open; beyond them a stream ends, and a watch is created canceled,
  // with the reason.
  size_t max_streams = 10'000;
  size_t max_watches_per_stream = 10'000;
  // What one step of a stream reads from the history; a revision is never split, so an answer may
  // be greater.
  size_t step_bytes = size_t{1} << 20;
  // Answers of watches that allow it are split beyond this.
  size_t fragment_bytes = size_t{2} << 20;
  // Watches that ask for it hear how far the store is when they had no events for so long.
  std::chrono::milliseconds progress_interval = std::chrono::minutes(10);
  // An answer costs its client several microseconds (Go's library 2.5 to 4), and the store as many,
  // whatever is in it. So a stream that has just answered many of its watches reads on only after
  // this time for each of them: what is committed meanwhile gathers, and comes in one answer for
  // each watch. Answers thus take a fraction of a core; etcd's watches, behind, wait for 100 ms.
  std::chrono::microseconds answer_time = std::chrono::microseconds(20);
  // Fewer answers at once are followed without a pause.
  size_t many_answers = 100;
  // Threads that read the history for all streams.
  int threads = 2;
};

class WatchStream;

// Owns the threads on which streams take their steps. Thread-safe.
class WatchService final : public etcdserverpb::Watch::CallbackService,
                           public engine::CommitListener {
 public:
  WatchService(engine::Store& store, const Identity& identity, const WatchOptions& options,
               obs::Metrics& metrics);
  WatchService(const WatchService&) = delete;
  WatchService& operator=(const WatchService&) = delete;
  // All streams must have ended: after the server's shutdown.
  ~WatchService() override;

  grpc::ServerBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>* Watch(
      grpc::CallbackServerContext* context) override;

  // Ends every stream with Unavailable, as soon as its answer on the way has gone; new ones are
  // refused.
  void StopStreams() ABSL_LOCKS_EXCLUDED(mu_);

  void OnCommit(engine::Revision revision) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class WatchStream;

  // Lets the stream take a step soon; if it is taking one now, another follows.
  void Wake(const std::shared_ptr<WatchStream>& stream) ABSL_LOCKS_EXCLUDED(mu_);
  // The same at that time.
  void WakeAt(std::chrono::steady_clock::time_point when,
              const std::shared_ptr<WatchStream>& stream) ABSL_LOCKS_EXCLUDED(mu_);
  void Enqueue(const std::shared_ptr<WatchStream>& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(const std::shared_ptr<WatchStream>& stream) ABSL_LOCKS_EXCLUDED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void TickProgress() ABSL_LOCKS_EXCLUDED(mu_);

  engine::Store& store_;
  const Identity identity_;
  const WatchOptions options_;
  obs::Gauge streams_gauge_;
  obs::Gauge watches_gauge_;
  obs::Counter events_;

  absl::Mutex mu_;
  absl::flat_hash_set<std::shared_ptr<WatchStream>> streams_ ABSL_GUARDED_BY(mu_);
  std::deque<std::shared_ptr<WatchStream>> ready_ ABSL_GUARDED_BY(mu_);  // each at most once
  std::multimap<std::chrono::steady_clock::time_point, std::shared_ptr<WatchStream>> gathering_
      ABSL_GUARDED_BY(mu_);                      // each at most once, by when it steps
  bool committed_ ABSL_GUARDED_BY(mu_) = false;  // every stream has to look
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::chrono::steady_clock::time_point next_progress_ ABSL_GUARDED_BY(mu_);

  std::vector<std::thread> threads_;
};

}  // namespace strata::rpc
