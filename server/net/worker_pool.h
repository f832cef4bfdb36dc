// Threads for work that would hold up an io thread.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "obs/metrics.h"
#include "server/net/executor.h"

namespace strata::net {

struct WorkerPoolOptions {
  int threads = 2;
  // Tasks that wait. Over it TrySubmit refuses.
  size_t max_queued = 4096;
};

// All methods from any thread.
class WorkerPool {
 public:
  // `name` is the label of its metrics.
  WorkerPool(WorkerPoolOptions options, const std::string& name, obs::Metrics& metrics);
  // Waits for the tasks that run; those that wait are dropped.
  ~WorkerPool();

  // False, and `task` untouched, if too many wait already.
  bool TrySubmit(Task&& task) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Counts;

  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const WorkerPoolOptions options_;
  const std::shared_ptr<Counts> counts_;  // metrics may be read after the pool is gone
  absl::Mutex mu_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace strata::net
