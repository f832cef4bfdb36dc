// Runs tasks on one io thread.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>

#include <atomic>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"

namespace strata::net {

using Task = absl::AnyInvocable<void()>;

// All methods from any thread. Shared by whoever may have something to say to the thread, and
// outlives it: tasks that come after its end, or haven't run by then, are dropped.
class Executor {
 public:
  // In the order posted. Many posts wake the thread once, and what they write to a connection is
  // one send.
  void Post(Task task) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether the caller is on the thread.
  bool InThread() const {
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

 private:
  friend class IoThread;

  base::Mutex mu_;
  // Makes the thread take what is queued. Null before its start and after its end.
  Task wake_ ABSL_GUARDED_BY(mu_);
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mu_);
  std::atomic<std::thread::id> thread_{};
};

}  // namespace strata::net
