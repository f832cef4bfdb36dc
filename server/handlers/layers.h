// GET …/imagestreams/{name}/layers.
#pragma once

#include <functional>
#include <memory>

#include "obs/metrics.h"
#include "server/handlers/call.h"
#include "server/handlers/freshness.h"
#include "server/layers/index.h"

namespace strata::handlers {

// Thread-safe. Waits until the index is as new as the request asks, then answers from the cache on
// the connection's thread; what has to be built for many images is built by a worker.
class LayersHandler final : private FreshHandler {
 public:
  // A build of fewer images than this, about 20 µs, stays on the connection's thread.
  static constexpr size_t kInlineImages = 12;

  // Runs a task elsewhere, or refuses and leaves it untouched.
  using Submit = std::function<bool(std::function<void()>& task)>;

  LayersHandler(layers::Index& index, Freshness& freshness, Submit submit);

  void Serve(std::shared_ptr<Call> call);

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  void Build(const std::shared_ptr<Call>& call, layers::Lookup lookup, const layers::Form& form);

  layers::Index& index_;
  Freshness& freshness_;
  const Submit submit_;
};

// What the index holds, under strata_* names; `index` must outlive the scrapes.
void AddIndexMetrics(const layers::Index& index, obs::Metrics& metrics);

}  // namespace strata::handlers
