#include "server/serving/deadlines.h"

#include <vector>

namespace strata::serving {

Deadlines::Deadlines(const base::Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

Deadlines::~Deadlines() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

Deadlines::Alarm Deadlines::Set(base::MonotonicTime at, std::function<void()> expired) {
  absl::MutexLock lock(&mu_);
  return alarms_.emplace(Alarm(at, ++last_), std::move(expired)).first->first;
}

void Deadlines::Cancel(const Alarm& alarm) {
  absl::MutexLock lock(&mu_);
  alarms_.erase(alarm);
}

void Deadlines::Run() {
  const auto something_to_do = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return stopping_ || !alarms_.empty();
  };
  for (;;) {
    std::vector<std::function<void()>> expired;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&something_to_do));
      mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(kTick));
      if (stopping_) return;
      const auto now = clock_.Now();
      while (!alarms_.empty() && alarms_.begin()->first.first <= now) {
        expired.push_back(std::move(alarms_.begin()->second));
        alarms_.erase(alarms_.begin());
      }
    }
    for (const auto& task : expired) task();
  }
}

}  // namespace strata::serving
