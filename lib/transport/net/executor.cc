#include "lib/transport/net/executor.h"

namespace strata::net {

void Executor::Post(Task task) {
  base::MutexLock lock(&mu_);
  if (wake_ == nullptr) return;
  tasks_.push_back(std::move(task));
  if (tasks_.size() == 1 && delayed_.empty()) wake_();
}

void Executor::RunAfter(std::chrono::nanoseconds delay, Task task) {
  const auto at = std::chrono::steady_clock::now() + delay;
  base::MutexLock lock(&mu_);
  if (wake_ == nullptr) return;
  delayed_.push_back({at, std::move(task)});
  if (delayed_.size() == 1 && tasks_.empty()) wake_();
}

}  // namespace strata::net
