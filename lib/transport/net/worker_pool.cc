#include "lib/transport/net/worker_pool.h"

#include <algorithm>
#include <atomic>
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
    : options_(options), counts_(std::make_shared<Counts>()) {
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
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

void WorkerPool::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  base::StringMap<std::unique_ptr<User>> dropped;  // after the lock
  absl::MutexLock lock(&mu_);
  dropped.swap(users_);
  turns_.clear();
  places_.clear();
}

bool WorkerPool::HasRoom(const User* user, size_t bytes) const {
  if (stopping_ || places_.size() >= options_.max_queued) return false;
  if (bytes > 0 && bytes_ > 0 && bytes_ + bytes > options_.max_bytes) return false;
  if (user == nullptr) return true;
  if (user->queue.size() >= options_.max_queued - places_.size()) return false;
  return user->bytes == 0 || bytes == 0 || user->bytes + bytes <= options_.max_bytes - bytes_;
}

WorkerPool::Ticket WorkerPool::TrySubmit(Task&& task, const Order& order) {
  absl::MutexLock lock(&mu_);
  auto found = users_.find(order.user);
  if (!HasRoom(found == users_.end() ? nullptr : found->second.get(), order.bytes)) {
    ++counts_->rejected;
    return 0;
  }
  if (found == users_.end()) {
    found = users_.emplace(std::string(order.user), std::make_unique<User>()).first;
    found->second->name = found->first;
  }
  User& user = *found->second;
  if (user.queue.empty()) user.turn = turns_.insert(turns_.end(), &user);
  const Ticket ticket = ++last_;
  user.queue.push_back({ticket, std::move(task), order.bytes});
  places_[ticket] = {&user, std::prev(user.queue.end())};
  user.bytes += order.bytes;
  counts_->bytes = bytes_ += order.bytes;
  counts_->queued = places_.size();
  ++counts_->accepted;
  return ticket;
}

// Those who have all but one of the threads are passed over, fewer than there are threads.
WorkerPool::User* WorkerPool::NextTurn() const {
  const int most = std::max(1, options_.threads - 1);
  const auto next =
      std::ranges::find_if(turns_, [&](const User* user) { return user->running < most; });
  return next == turns_.end() ? nullptr : *next;
}

WorkerPool::Queued WorkerPool::Remove(const Place& place) {
  User& user = *place.user;
  Queued taken = std::move(*place.queued);
  user.queue.erase(place.queued);
  if (user.queue.empty()) turns_.erase(user.turn);
  places_.erase(taken.ticket);
  counts_->queued = places_.size();
  return taken;
}

void WorkerPool::Forget(User& user, size_t bytes) {
  user.bytes -= bytes;
  counts_->bytes = bytes_ -= bytes;
  if (user.queue.empty() && user.running == 0) users_.erase(users_.find(user.name));
}

void WorkerPool::Withdraw(Ticket ticket) {
  Queued withdrawn;  // ends after the lock does
  absl::MutexLock lock(&mu_);
  const auto found = places_.find(ticket);
  if (found == places_.end()) return;
  User& user = *found->second.user;
  withdrawn = Remove(Place(found->second));
  Forget(user, withdrawn.bytes);
  ++counts_->withdrawn;
}

void WorkerPool::Run() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || NextTurn() != nullptr;
  };
  for (;;) {
    Queued next;
    User* user = nullptr;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&ready));
      if (stopping_) return;
      user = NextTurn();
      next = Remove({user, user->queue.begin()});
      ++user->running;
      if (!user->queue.empty()) turns_.splice(turns_.end(), turns_, user->turn);
    }
    next.task();
    next.task = nullptr;
    absl::MutexLock lock(&mu_);
    --user->running;
    Forget(*user, next.bytes);
  }
}

}  // namespace strata::net
