// What is counted of requests, under the names that dashboards of API servers use
// (k8s.io/apiserver pkg/endpoints/metrics/metrics.go). Handles are bound once: nothing is looked up
// per request.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/obs/lazy_counters.h"
#include "lib/obs/metrics.h"
#include "server/endpoints/call.h"
#include "server/registry/resource.h"
#include "server/serving/filter.h"

namespace strata::serving::filters {

// Labels come from the groups' resources alone, never from a request.
class RequestMetrics final : public Filter {
 public:
  RequestMetrics(const registry::Groups& groups, obs::Metrics& metrics);
  void Finish(ServedCall& call, const Outcome& outcome) override;

  // Of one that is served for as long as the client likes; until its end (RecordLongRunning).
  class LongRunning {
   public:
    explicit LongRunning(const obs::Gauge& gauge) : gauge_(gauge) { gauge_.Add(1); }
    LongRunning(const LongRunning&) = delete;
    LongRunning& operator=(const LongRunning&) = delete;
    ~LongRunning() { gauge_.Add(-1); }

   private:
    const obs::Gauge gauge_;
  };
  void BeginLongRunning(ServedCall& call);

  // Of a request that ends before its time, besides: too many in flight, an exception, an answer
  // that was broken off (RecordRequestTermination).
  void Terminated(const endpoints::Call& call, int code);
  // Of one whose answer had begun and is broken off (RecordRequestAbort).
  void Aborted(const endpoints::Call& call);
  void AuthenticationResult(bool success);
  void AuthorizationResult(bool allowed);

 private:
  // What a path is about and what is done there; of all other paths nothing.
  struct Route {
    const registry::Resource* resource = nullptr;
    registry::Scope scope = registry::Scope::kObject;
    std::string_view verb = "GET";

    friend bool operator==(const Route&, const Route&) = default;
  };
  struct OfRoute {
    Route route;
    obs::Labels labels;
    obs::LazyCounters<600> by_code;
    std::unique_ptr<obs::Histogram> duration, sli;
    std::unique_ptr<obs::Histogram> sizes;
    std::optional<obs::Gauge> running;  // of watches
  };

  static Route RouteOf(const endpoints::Call& call);
  void AddRoutes(const registry::Resource& resource);
  void AddRoute(const Route& route);
  OfRoute& Find(const endpoints::Call& call);
  const obs::Counter& CounterOf(OfRoute& route, int code);

  obs::Metrics& metrics_;
  std::vector<std::unique_ptr<OfRoute>> routes_;  // some dozens; first that of all other paths
  obs::Counter authenticated_, users_, unauthenticated_, allowed_, denied_;
};

}  // namespace strata::serving::filters
