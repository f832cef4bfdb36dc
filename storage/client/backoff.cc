#include "storage/client/backoff.h"

#include <algorithm>
#include <memory>
#include <random>

namespace strata::client {

Backoff::Backoff(const Options& options, std::function<double()> random)
    : options_(options),
      random_(std::move(random)),
      step_(static_cast<double>(options.first.count())) {}

Backoff::Backoff(const Options& options)
    : Backoff(options, [engine = std::make_shared<std::minstd_rand>(std::random_device()())] {
        return std::uniform_real_distribution<double>(0, 1)(*engine);
      }) {}

std::chrono::milliseconds Backoff::Next() {
  const double step = step_;
  step_ = std::min(step_ * options_.factor, static_cast<double>(options_.most.count()));
  return std::chrono::milliseconds(static_cast<int64_t>(step / 2 + step / 2 * random_()));
}

void Backoff::Reset() {
  step_ = static_cast<double>(options_.first.count());
}

}  // namespace strata::client
