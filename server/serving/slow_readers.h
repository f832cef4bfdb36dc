// Finds, among the answers that are being sent over all connections, the one that is read slowest,
// and ends it.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <memory>
#include <optional>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/transport/http/session.h"
#include "lib/transport/net/executor.h"

namespace strata::serving {

// A connection, as it is seen here: on its own thread alone.
class Reader {
 public:
  virtual std::optional<http::SlowestAnswer> Slowest() const = 0;
  // Gives up the answer.
  virtual void Cut(http::StreamId stream) = 0;

 protected:
  ~Reader() = default;
};

// Thread-safe. Connections are asked on their threads, so a search costs each of these a walk over
// its connections; at most ten begin in a second.
class SlowReaders {
 public:
  // How a connection is found. `reader` is touched on its thread alone.
  struct Seat {
    std::shared_ptr<net::Executor> executor;
    Reader* reader;  // null once the connection is gone
  };

  explicit SlowReaders(const base::Clock& clock) : clock_(clock) {}

  void Join(std::shared_ptr<Seat> seat) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(const std::shared_ptr<Seat>& seat) ABSL_LOCKS_EXCLUDED(mu_);

  // Begins to look for the slowest and gives it up, if it is slow: who reads at a fair pace is let
  // finish. From any thread; returns at once. `self` is this.
  static void CutSlowest(const std::shared_ptr<SlowReaders>& self);

  // How many were given up.
  uint64_t cut() const { return cut_.load(std::memory_order_relaxed); }

 private:
  class Search;

  const base::Clock& clock_;
  std::atomic<bool> searching_ = false;
  std::atomic<uint64_t> cut_ = 0;
  base::Mutex mu_;
  base::MonotonicTime next_search_ ABSL_GUARDED_BY(mu_){};
  absl::flat_hash_set<std::shared_ptr<Seat>> seats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::serving
