#include "lib/transport/net/executor.h"

namespace strata::net {

void Executor::Post(Task task) {
  base::MutexLock lock(&mu_);
  if (wake_ == nullptr) return;
  tasks_.push_back(std::move(task));
  if (tasks_.size() == 1) wake_();
}

}  // namespace strata::net
