#include "server/net/worker_pool.h"

#include <atomic>
#include <utility>

namespace strata::net {

struct WorkerPool::Counts {
  std::atomic<size_t> queued = 0;
  std::atomic<size_t> submitted = 0;
  std::atomic<size_t> rejected = 0;
};

WorkerPool::WorkerPool(WorkerPoolOptions options, const std::string& name, obs::Metrics& metrics)
    : options_(options), counts_(std::make_shared<Counts>()) {
  const auto counts = counts_;
  metrics.AddGaugeFunction("strata_worker_queue_length", "Tasks that wait for a worker.",
                           {{"pool", name}},
                           [counts] { return static_cast<double>(counts->queued); });
  metrics.AddCounterFunction("strata_worker_tasks_total", "Tasks given to the workers.",
                             {{"pool", name}, {"result", "accepted"}},
                             [counts] { return static_cast<double>(counts->submitted); });
  metrics.AddCounterFunction("strata_worker_tasks_total", "Tasks given to the workers.",
                             {{"pool", name}, {"result", "rejected"}},
                             [counts] { return static_cast<double>(counts->rejected); });
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::TrySubmit(Task&& task) {
  absl::MutexLock lock(&mu_);
  if (stopping_ || queue_.size() >= options_.max_queued) {
    ++counts_->rejected;
    return false;
  }
  queue_.push_back(std::move(task));
  counts_->queued = queue_.size();
  ++counts_->submitted;
  return true;
}

void WorkerPool::Run() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || !queue_.empty();
  };
  for (;;) {
    Task task;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&ready));
      if (stopping_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      counts_->queued = queue_.size();
    }
    task();
  }
}

}  // namespace strata::net
