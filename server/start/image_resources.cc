#include "server/start/image_resources.h"

#include <utility>

#include "server/endpoints/image_objects.h"
#include "server/registry/image_v1.h"

namespace strata::start {
ImageResources::ImageResources(const Parts& parts, const Options& options, const base::Clock& clock,
                               const obs::Logger& log, obs::Metrics& metrics)
    : parts_(parts),
      options_(options),
      clock_(clock),
      memory_(options.list_buffer_bytes),
      kinds_(parts.registry),
      source_{parts.history, parts.registry},
      records_{parts.history, parts.keys, memory_},
      hub_(parts.history, parts.keys, {&kinds_.streams, &kinds_.images}, options.watches, clock,
           log, metrics) {
  metrics.AddGaugeFunction("strata_list_buffer_bytes",
                           "Bytes of lists that were made ahead of their heads.", {},
                           [this] { return static_cast<double>(memory_.taken()); });
}

void ImageResources::BindTo(endpoints::Router& router, endpoints::Freshness& freshness,
                            const endpoints::Seeker& seeker) {
  const std::pair<const registry::Resource&, endpoints::Maker> makers[] = {
      {registry::ImageStreams(), endpoints::MakeImageStream},
      {registry::ImageStreamStatus(), endpoints::MakeImageStreamStatus},
      {registry::Images(), endpoints::MakeImage},
      {registry::ImageStreamTags(), endpoints::MakeImageStreamTag},
      {registry::ImageTags(), endpoints::MakeImageTag},
      {registry::ImageStreamImages(), endpoints::ImageStreamImages(parts_.index)}};
  for (const auto& [resource, make] : makers) {
    auto& handler = *objects_.emplace_back(std::make_unique<endpoints::ObjectHandler>(
        source_, freshness, seeker, parts_.readers, clock_, make));
    router.Serve(resource, "get", endpoints::ServeBy(handler));
  }
  for (const objects::Kind* kind :
       {&kinds_.streams, &kinds_.images, &kinds_.stream_tags, &kinds_.tags}) {
    auto& handler = *lists_.emplace_back(std::make_unique<endpoints::ListHandler>(
        records_, *kind, freshness, parts_.listers, clock_));
    router.Serve(kind->resource, "list", endpoints::ServeBy(handler));
  }
  for (const objects::Kind* kind : {&kinds_.streams, &kinds_.images}) {
    auto& handler = *watches_.emplace_back(std::make_unique<endpoints::WatchHandler>(
        hub_, *kind, freshness, parts_.listers, options_.watching, clock_));
    router.Serve(kind->resource, "watch", endpoints::ServeBy(handler));
  }
}

}  // namespace strata::start
