// Everything that answers for the objects of image.openshift.io/v1, bound to their verbs.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/image/presentation.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/endpoints/list.h"
#include "server/endpoints/objects.h"
#include "server/endpoints/router.h"
#include "server/endpoints/watch.h"
#include "server/layers/index.h"
#include "server/objects/hub.h"
#include "server/objects/image_kinds.h"
#include "storage/replica/history.h"

namespace strata::start {

class ImageResources {
 public:
  struct Options {
    objects::Hub::Options watches;
    endpoints::WatchHandler::Options watching;
    base::Limit list_buffer_bytes = 256 << 20;  // of all lists
  };
  // What it stands on; all outlive it.
  struct Parts {
    const replica::History& history;
    const records::Keys& keys;
    const image::RegistryHostnames& registry;
    const layers::Index& index;
    endpoints::Lane readers;  // of objects
    endpoints::Lane listers;  // of lists and watches
  };

  ImageResources(const Parts& parts, const Options& options, const base::Clock& clock,
                 const obs::Logger& log, obs::Metrics& metrics);

  // Of the reflector, behind the history and the index.
  reflector::Consumer& consumer() { return hub_; }
  // Requests wait for `freshness`; both outlive them.
  void BindTo(endpoints::Router& router, endpoints::Freshness& freshness,
              const endpoints::Seeker& seeker);
  void Start() { hub_.Start(); }
  base::Shares& list_memory() { return memory_; }
  // Before a drain: watches would last.
  void EndWatches() { hub_.EndWatches(); }
  void Stop() { hub_.Stop(); }

 private:
  const Parts parts_;
  const Options options_;
  const base::Clock& clock_;
  base::Shares memory_;
  const objects::ImageKinds kinds_;
  const endpoints::RecordReader::Source source_;
  const endpoints::Records records_;
  objects::Hub hub_;
  std::vector<std::unique_ptr<endpoints::ObjectHandler>> objects_;
  std::vector<std::unique_ptr<endpoints::ListHandler>> lists_;
  std::vector<std::unique_ptr<endpoints::WatchHandler>> watches_;
};

}  // namespace strata::start
