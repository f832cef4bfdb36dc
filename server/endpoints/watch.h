// Watches of objects.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "lib/base/clock.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/lane.h"
#include "server/objects/hub.h"

namespace strata::endpoints {

// Thread-safe.
class WatchHandler final : private FreshHandler {
 public:
  struct Options {
    // A watch that doesn't say how long it wants to last ends at random between this and twice as
    // much, so that clients spread over the servers that there are.
    std::chrono::seconds min_request_timeout{1'800};
  };

  WatchHandler(objects::Hub& hub, const objects::Kind& kind, Freshness& freshness, Lane workers,
               const Options& options, const base::Clock& clock)
      : hub_(hub),
        kind_(kind),
        freshness_(freshness),
        workers_(std::move(workers)),
        options_(options),
        clock_(clock) {}

  void Serve(std::shared_ptr<Call> call);

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  void Refuse(const std::shared_ptr<Call>& call, const api::Error& error) override;
  base::MonotonicTime EndOf(const api::ListOptions& options) const;

  objects::Hub& hub_;
  const objects::Kind& kind_;
  Freshness& freshness_;
  const Lane workers_;
  const Options options_;
  const base::Clock& clock_;
};

}  // namespace strata::endpoints
