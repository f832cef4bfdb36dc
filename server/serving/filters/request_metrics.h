// What is counted of requests, under the names that dashboards of API servers use
// (k8s.io/apiserver pkg/endpoints/metrics/metrics.go). Handles are bound once: nothing is looked up
// per request.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "lib/obs/lazy_counters.h"
#include "lib/obs/metrics.h"
#include "server/registry/resource.h"
#include "server/serving/filter.h"

namespace strata::serving::filters {

// Labels come from the groups' resources alone, never from a request: `resource` is one of them, or
// null for all other paths.
class RequestMetrics final : public Filter {
 public:
  RequestMetrics(const registry::Groups& groups, obs::Metrics& metrics);
  void Finish(ServedCall& call, const Outcome& outcome) override;

  // Of a request that ends before its time, besides: too many in flight, an exception, an answer
  // that was broken off (RecordRequestTermination).
  void Terminated(const registry::Resource* resource, int code);
  void AuthenticationResult(bool success);
  void AuthorizationResult(bool allowed);

 private:
  struct OfRoute {
    const registry::Resource* resource;
    obs::Labels labels;
    obs::LazyCounters<600> by_code;
    std::unique_ptr<obs::Histogram> duration, sli;
    std::unique_ptr<obs::Histogram> sizes;
  };

  void AddRoute(const registry::Resource* resource);
  OfRoute& RouteOf(const registry::Resource* resource);
  const obs::Counter& CounterOf(OfRoute& route, int code);

  obs::Metrics& metrics_;
  std::vector<std::unique_ptr<OfRoute>> routes_;  // a handful
  obs::Counter authenticated_, users_, unauthenticated_, allowed_, denied_;
};

}  // namespace strata::serving::filters
