// How new the index must be for a request: what `resourceVersion` asks, or what the backend had
// when the request came in.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "server/handlers/call.h"
#include "storage/reflector/barrier.h"

namespace strata::handlers {

// Thread-safe.
class Freshness {
 public:
  // How long a resourceVersion that hasn't come yet is waited for (cacher.go blockTimeout).
  static constexpr std::chrono::milliseconds kNamedRevisionTimeout{3'000};

  Freshness(reflector::Barrier& barrier, const base::Clock& clock)
      : barrier_(barrier), clock_(clock) {}

  // Calls `then` on the connection's thread once the index is new enough. Otherwise, or if the
  // resourceVersion is none, the call is failed.
  void Wait(std::shared_ptr<Call> call, std::function<void(std::shared_ptr<Call>)> then);

 private:
  void Refuse(Call& call, const base::Status& status);

  reflector::Barrier& barrier_;
  const base::Clock& clock_;
};

}  // namespace strata::handlers
