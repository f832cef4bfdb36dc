// The Watch service.
//
// A stream keeps no events: it knows how far each of its watches has come, and reads on from there
// in the store's history when the answer before has gone out. A slow client costs one answer of
// memory, however far it lags.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "obs/metrics.h"
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
  bool committed_ ABSL_GUARDED_BY(mu_) = false;                          // every stream has to look
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::chrono::steady_clock::time_point next_progress_ ABSL_GUARDED_BY(mu_);

  std::vector<std::thread> threads_;
};

}  // namespace strata::rpc
