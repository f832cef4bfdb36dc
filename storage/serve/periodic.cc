#include "storage/serve/periodic.h"

#include <absl/time/time.h>

namespace strata::serve {

Periodic::~Periodic() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Periodic::Run(std::chrono::milliseconds interval, const std::function<void()>& work) {
  const auto stopped = [&] {
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(interval));
  };
  while (!stopped()) work();
}

}  // namespace strata::serve
