#include "lib/transport/net/worker_pool.h"

#include <atomic>
#include <optional>
#include <utility>

namespace strata::net {

struct WorkerPool::Counts {
  std::atomic<size_t> queued = 0;
  std::atomic<size_t> bytes = 0;
  std::atomic<size_t> accepted = 0;
  std::atomic<size_t> rejected = 0;
  std::atomic<size_t> withdrawn = 0;
};

WorkerPool::WorkerPool(WorkerPoolOptions options, const std::string& name, obs::Metrics& metrics)
    : counts_(std::make_shared<Counts>()),
      turns_({.places = static_cast<size_t>(options.threads),
              .max_waiting = options.max_queued,
              .max_bytes = options.max_bytes}) {
  const auto counts = counts_;
  metrics.AddGaugeFunction("strata_worker_queue_length", "Tasks that wait for a worker.",
                           {{"pool", name}},
                           [counts] { return static_cast<double>(counts->queued); });
  metrics.AddGaugeFunction("strata_worker_bytes", "Estimate of what tasks wait for or work on.",
                           {{"pool", name}},
                           [counts] { return static_cast<double>(counts->bytes); });
  const auto count = [&](const char* result, std::atomic<size_t> Counts::*of) {
    metrics.AddCounterFunction("strata_worker_tasks_total",
                               "Tasks for the workers: taken, refused because too much waited, and "
                               "taken back because nobody waited any more.",
                               {{"pool", name}, {"result", result}},
                               [counts, of] { return static_cast<double>((*counts).*of); });
  };
  count("accepted", &Counts::accepted);
  count("rejected", &Counts::rejected);
  count("withdrawn", &Counts::withdrawn);
  for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { Run(); });
}

void WorkerPool::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::optional<Turns> dropped;  // ends after the lock does
  absl::MutexLock lock(&mu_);
  dropped = std::move(turns_);
}

void WorkerPool::Count() {
  counts_->queued = turns_.waiting();
  counts_->bytes = turns_.bytes();
}

WorkerPool::Ticket WorkerPool::TrySubmit(Task&& task, const Order& order) {
  absl::MutexLock lock(&mu_);
  const Ticket ticket = stopping_ ? 0 : turns_.TryAdd(std::move(task), order.user, order.bytes);
  ++(ticket == 0 ? counts_->rejected : counts_->accepted);
  Count();
  return ticket;
}

void WorkerPool::Withdraw(Ticket ticket) {
  std::optional<Task> withdrawn;  // ends after the lock does
  absl::MutexLock lock(&mu_);
  withdrawn = turns_.Withdraw(ticket);
  if (withdrawn) ++counts_->withdrawn;
  Count();
}

void WorkerPool::Run() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || turns_.HasNext();
  };
  for (;;) {
    std::optional<Turns::Turn> turn;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&ready));
      if (stopping_) return;
      turn = turns_.Next();
      Count();
    }
    turn->what();
    turn->what = nullptr;
    absl::MutexLock lock(&mu_);
    turns_.End(*turn);
    Count();
  }
}

}  // namespace strata::net
