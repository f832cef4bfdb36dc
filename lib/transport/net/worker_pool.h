// Threads for work that would hold up an io thread.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/limit.h"
#include "lib/base/turns.h"
#include "lib/obs/metrics.h"
#include "lib/transport/net/executor.h"

namespace strata::net {

struct WorkerPoolOptions {
  int threads = 2;
  // Tasks that wait. Over it TrySubmit refuses.
  size_t max_queued = 4096;
  // That tasks which wait or run are said to take. Over it TrySubmit refuses, but for a task that
  // is alone.
  base::Limit max_bytes = size_t{1} << 30;
};

// All methods from any thread. Users share the queue and the threads as base::Turns says.
class WorkerPool {
 public:
  struct Order {
    std::string_view user;
    size_t bytes = 0;  // an estimate of what the task takes
  };
  using Ticket = uint64_t;

  // `name` is the label of its metrics.
  WorkerPool(WorkerPoolOptions options, const std::string& name, obs::Metrics& metrics);
  ~WorkerPool() { Stop(); }

  // Waits for the tasks that run; those that wait are dropped.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // 0, and `task` untouched, if too many wait already.
  Ticket TrySubmit(Task&& task, const Order& order) ABSL_LOCKS_EXCLUDED(mu_);
  // Nobody wants the task any more. Without effect on one that runs or has run.
  void Withdraw(Ticket ticket) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Counts;
  using Turns = base::Turns<Task>;

  // Where metrics read it.
  void Count() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<Counts> counts_;  // metrics may be read after the pool is gone
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Turns turns_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace strata::net
