// How long to wait before the next try: exponential, with jitter so that replicas don't come back
// in step.
#pragma once

#include <chrono>
#include <functional>

namespace strata::client {

// For one thread.
class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds first{50};
    std::chrono::milliseconds most{5000};
    double factor = 2;
  };

  // `random` gives numbers in [0, 1).
  Backoff(const Options& options, std::function<double()> random);
  explicit Backoff(const Options& options);

  // Between half of the step and the step; the next step is longer.
  std::chrono::milliseconds Next();
  void Reset();

 private:
  const Options options_;
  const std::function<double()> random_;
  double step_;
};

}  // namespace strata::client
