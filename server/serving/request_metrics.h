// What is counted of requests, under the names that dashboards of API servers use
// (k8s.io/apiserver pkg/endpoints/metrics/metrics.go). Handles are bound once: nothing is looked up
// per request.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>

#include "obs/metrics.h"
#include "server/handlers/router.h"

namespace strata::serving {

// Thread-safe.
class RequestMetrics {
 public:
  explicit RequestMetrics(obs::Metrics& metrics);

  // Labels come from the list of targets alone, never from a request.
  using Target = handlers::Router::Target;

  void Finished(Target target, int code, std::chrono::nanoseconds took, size_t bytes);
  // Also Finished: too many in flight, or an exception (RecordRequestTermination).
  void Terminated(Target target, int code);
  void AuthenticationResult(bool success);
  void AuthorizationResult(bool allowed);

 private:
  struct OfRoute {
    obs::Labels labels;
    std::array<std::atomic<const obs::Counter*>, 600> by_code{};
    std::unique_ptr<obs::Histogram> duration, sli;
    std::unique_ptr<obs::Histogram> sizes;
  };

  const obs::Counter& CounterOf(OfRoute& route, int code);

  obs::Metrics& metrics_;
  std::array<OfRoute, 3> routes_;
  obs::Counter authenticated_, users_, unauthenticated_, allowed_, denied_;
};

}  // namespace strata::serving
