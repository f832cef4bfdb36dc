// Everything that answers for the objects of layers.strata.dev, bound to their verbs.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/auth/authorizer.h"
#include "server/endpoints/audiences.h"
#include "server/endpoints/list.h"
#include "server/endpoints/router.h"
#include "server/endpoints/views.h"
#include "server/endpoints/watch.h"
#include "server/layers/index.h"
#include "server/objects/hub.h"
#include "server/objects/kind.h"
#include "server/start/image_resources.h"
#include "server/views/image_history.h"
#include "server/views/stream_history.h"
#include "server/views/timeline.h"
#include "server/views/usage.h"
#include "server/views/usage_history.h"

namespace strata::start {

class ViewResources {
 public:
  struct Options {
    views::Timeline::Options history;
    size_t usage_bytes = views::UsageMemory::kMaxBytes;
    endpoints::Audiences::Options audiences;
  };
  // What it stands on; all outlive it.
  struct Parts {
    layers::Index& index;  // which keeps what views need
    const records::Keys& keys;
    const auth::Authorizer& authorizer;
    endpoints::Lane workers;  // of gets
    endpoints::Lane listers;  // of lists and watches
    base::Shares& list_memory;
    const ImageResources::Options& as;  // watches are bounded as those are
  };

  ViewResources(const Parts& parts, const Options& options, const base::Clock& clock,
                const obs::Logger& log, obs::Metrics& metrics);

  // Of the reflector, behind the index.
  std::vector<reflector::Consumer*> consumers() { return {&stream_hub_, &image_hub_}; }
  // Requests wait for `freshness`; both outlive them.
  void BindTo(endpoints::Router& router, endpoints::Freshness& freshness,
              const endpoints::Seeker& seeker);
  void Start();
  // Before a drain: watches would last.
  void EndWatches();
  void Stop();

 private:
  void BindGets(endpoints::Router& router, endpoints::Freshness& freshness,
                const endpoints::Seeker& seeker);
  endpoints::ListHandler& NewList(const endpoints::Records& records, const objects::Kind& kind,
                                  endpoints::Freshness& freshness);
  endpoints::WatchHandler& NewWatch(objects::Hub& hub, const objects::Kind& kind,
                                    endpoints::Freshness& freshness);

  const Parts parts_;
  const base::Clock& clock_;
  views::Timeline timeline_;
  views::UsageMemory usages_;
  const views::StreamHistory stream_history_;
  const views::ImageHistory image_history_;
  const views::UsageHistory usage_history_;
  const objects::Kind streams_, images_, usage_kind_;
  const endpoints::Records stream_records_, image_records_, usage_records_;
  const endpoints::Audiences audiences_;
  objects::Hub stream_hub_, image_hub_;
  std::vector<std::unique_ptr<endpoints::ViewHandler>> gets_;
  std::vector<std::unique_ptr<endpoints::ListHandler>> lists_;
  std::vector<std::unique_ptr<endpoints::WatchHandler>> watches_;
};

}  // namespace strata::start
