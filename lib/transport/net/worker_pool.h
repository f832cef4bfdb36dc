// Threads for work that would hold up an io thread.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/string_map.h"
#include "lib/obs/metrics.h"
#include "lib/transport/net/executor.h"

namespace strata::net {

struct WorkerPoolOptions {
  int threads = 2;
  // Tasks that wait. Over it TrySubmit refuses.
  size_t max_queued = 4096;
  // That tasks which wait or run are said to take. Over it TrySubmit refuses, but for a task that
  // is alone.
  size_t max_bytes = size_t{1} << 30;
};

// All methods from any thread.
//
// Users take turns, a task each, so that nobody waits behind all that another one wants. And a user
// may have no more waiting than there is room left: alone half of the queue, two a third each, so
// that there is always some for the next. Of several threads nobody has them all: what somebody
// else wants begins at once, however long the tasks of the one are.
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
  struct Queued {
    Ticket ticket;
    Task task;
    size_t bytes;
  };
  struct User {
    std::string name;
    std::list<Queued> queue;
    size_t bytes = 0;                      // of tasks that wait or run
    int running = 0;                       // tasks
    std::list<User*>::iterator turn = {};  // valid while something waits
  };
  struct Place {
    User* user;
    std::list<Queued>::iterator queued;
  };

  bool HasRoom(const User* user, size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whose task is the next to run; null: nobody's.
  User* NextTurn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes it out of its user's queue.
  Queued Remove(const Place& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A task of the user's waits and runs no more.
  void Forget(User& user, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const WorkerPoolOptions options_;
  const std::shared_ptr<Counts> counts_;  // metrics may be read after the pool is gone
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Ticket last_ ABSL_GUARDED_BY(mu_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  base::StringMap<std::unique_ptr<User>> users_ ABSL_GUARDED_BY(mu_);  // with tasks
  std::list<User*> turns_ ABSL_GUARDED_BY(mu_);                        // the next is the first
  absl::flat_hash_map<Ticket, Place> places_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace strata::net
