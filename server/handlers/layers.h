// GET …/imagestreams/{name}/layers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "obs/metrics.h"
#include "server/handlers/call.h"
#include "server/layers/index.h"
#include "storage/reflector/barrier.h"

namespace strata::handlers {

// Thread-safe. Waits until the index is as new as the request asks, then answers from the cache on
// the connection's thread; what has to be built for many images is built by a worker.
class LayersHandler {
 public:
  struct Options {
    // How long a resourceVersion that hasn't come yet is waited for (cacher.go blockTimeout).
    std::chrono::milliseconds named_revision_timeout{3'000};
    // A build of fewer images than this, about 20 µs, stays on the connection's thread.
    size_t inline_images = 12;
  };

  // Runs a task elsewhere, or refuses and leaves it untouched.
  using Submit = std::function<bool(std::function<void()>& task)>;

  LayersHandler(layers::Index& index, reflector::Barrier& barrier, Submit submit,
                const base::Clock& clock, const Options& options);

  void Serve(std::shared_ptr<Call> call);

 private:
  void Answer(const std::shared_ptr<Call>& call);
  void Build(const std::shared_ptr<Call>& call, layers::Lookup lookup, const layers::Form& form);
  void Refuse(Call& call, const base::Status& status);

  layers::Index& index_;
  reflector::Barrier& barrier_;
  const Submit submit_;
  const base::Clock& clock_;
  const Options options_;
};

// What the index holds, under strata_* names; `index` must outlive the scrapes.
void AddIndexMetrics(const layers::Index& index, obs::Metrics& metrics);

}  // namespace strata::handlers
