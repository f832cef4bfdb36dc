// GET …/imagestreams/{name}/layers.
#pragma once

#include <memory>

#include "lib/obs/metrics.h"
#include "server/endpoints/builds.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/seeker.h"
#include "server/layers/index.h"

namespace strata::endpoints {

// Thread-safe. Waits until the index is as new as the request asks, then answers from the cache on
// the connection's thread; what is large is built by a worker.
class LayersHandler final : private FreshHandler {
 public:
  LayersHandler(layers::Index& index, Freshness& freshness, const Seeker& seeker, Lane workers,
                obs::Metrics& metrics);

  void Serve(std::shared_ptr<Call> call);
  // Nobody waits any more: ends the work on large answers soon.
  void Stop() { builds_.Stop(); }

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  void Answer(const std::shared_ptr<Call>& call, const Builds::Result& built,
              const layers::Form& form);

  layers::Index& index_;
  Freshness& freshness_;
  const Seeker& seeker_;
  Builds builds_;
};

// What the index holds, under strata_* names; `index` must outlive the scrapes.
void AddIndexMetrics(const layers::Index& index, obs::Metrics& metrics);

}  // namespace strata::endpoints
