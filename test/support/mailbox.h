// The tasks of a connection's thread, which the test runs when it says so. They may come from any
// thread.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

namespace strata::testing_support {

class Mailbox {
 public:
  void Post(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    tasks_.push_back(std::move(task));
  }
  // Waits for the next task.
  void RunOne() ABSL_LOCKS_EXCLUDED(mu_) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mu_);
      const auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !tasks_.empty(); };
      mu_.Await(absl::Condition(&some));
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
  size_t posted() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return tasks_.size();
  }

 private:
  mutable absl::Mutex mu_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::testing_support
