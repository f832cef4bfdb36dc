// Alarms for requests that wait for somebody else's word: whoever asks for an answer within a time
// is told at its end, and not when the word comes.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "lib/base/clock.h"

namespace strata::serving {

// Thread-safe. Alarms go off on a thread of its own, at most kTick late; it sleeps while none is
// set.
class Deadlines {
 public:
  // The time and a number: alarms of one moment are several.
  using Alarm = std::pair<base::MonotonicTime, uint64_t>;
  static constexpr std::chrono::milliseconds kTick{50};

  explicit Deadlines(const base::Clock& clock);
  // Alarms that haven't gone off never do.
  ~Deadlines();

  // Calls `expired`, which must not block, once it is `at`.
  Alarm Set(base::MonotonicTime at, std::function<void()> expired) ABSL_LOCKS_EXCLUDED(mu_);
  // Without effect on one that has gone off, or is about to.
  void Cancel(const Alarm& alarm) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const base::Clock& clock_;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<Alarm, std::function<void()>> alarms_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace strata::serving
