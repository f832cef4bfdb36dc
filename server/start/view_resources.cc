#include "server/start/view_resources.h"

#include <utility>

#include "proto/layers/v1alpha1/layers.pb.h"
#include "server/registry/image_v1.h"
#include "server/registry/layers_v1alpha1.h"

namespace strata::start {
namespace {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;
using google::protobuf::Message;

// What a history has of it is what clients see, but for the revision.
template <typename Object>
objects::Kind KindOf(const registry::Resource& resource, records::Kind record) {
  return {.resource = resource,
          .record = record,
          .prototype = Object::default_instance(),
          .present = [](base::Revision revision, Message& object) {
            static_cast<Object&>(object).mutable_metadata()->set_resource_version(
                std::to_string(revision));
            return base::OkStatus();
          }};
}

}  // namespace

ViewResources::ViewResources(const Parts& parts, const Options& options, const base::Clock& clock,
                             const obs::Logger& log, obs::Metrics& metrics)
    : parts_(parts),
      clock_(clock),
      timeline_(options.history, clock),
      usages_(options.usage_bytes),
      stream_history_(parts.index, timeline_, parts.keys),
      image_history_(parts.index, timeline_, parts.keys),
      usage_history_(parts.index, timeline_, parts.keys, usages_),
      streams_(KindOf<v1alpha1::ImageStreamLayers>(registry::LayersOfImageStreams(),
                                                   records::Kind::kImageStream)),
      images_(KindOf<v1alpha1::ImageLayers>(registry::LayersOfImages(), records::Kind::kImage)),
      usage_kind_(
          KindOf<v1alpha1::LayerUsage>(registry::LayerUsages(), records::Kind::kImageStream)),
      stream_records_{stream_history_, parts.keys, parts.list_memory},
      image_records_{image_history_, parts.keys, parts.list_memory},
      usage_records_{usage_history_, parts.keys, parts.list_memory},
      audiences_(parts.authorizer, registry::ImageStreamLayers(), options.audiences, clock, log,
                 metrics),
      stream_hub_(stream_history_, parts.keys, {&streams_}, parts.as.watches, clock, log, metrics),
      image_hub_(image_history_, parts.keys, {&images_}, parts.as.watches, clock, log, metrics) {
  parts.index.Observe(&timeline_);
  metrics.AddGaugeFunction("strata_layers_history_bytes",
                           "Bytes of what changes of layers replaced, which is kept for watches.",
                           {}, [this] { return static_cast<double>(timeline_.stats().bytes); });
  metrics.AddGaugeFunction("strata_layers_history_revisions",
                           "Revisions whose changes of layers are kept.", {},
                           [this] { return static_cast<double>(timeline_.stats().steps); });
  metrics.AddGaugeFunction("strata_layers_usage_bytes",
                           "Bytes of usages that were counted and are kept.", {},
                           [this] { return static_cast<double>(usages_.bytes()); });
}

void ViewResources::BindTo(endpoints::Router& router, endpoints::Freshness& freshness,
                           const endpoints::Seeker& seeker) {
  BindGets(router, freshness, seeker);
  router.Serve(streams_.resource, "list",
               endpoints::ServeBy(NewList(stream_records_, streams_, freshness)));
  router.Serve(streams_.resource, "watch",
               endpoints::ServeBy(NewWatch(stream_hub_, streams_, freshness)));
  router.Serve(usage_kind_.resource, "list",
               endpoints::ServeBy(NewList(usage_records_, usage_kind_, freshness)));
  // Nothing is left out of these, whoever asks.
  const auto for_who_sees_all = [&](auto& handler) {
    return endpoints::ForWhoSeesAll(audiences_, endpoints::ServeBy(handler));
  };
  router.Serve(images_.resource, "list",
               for_who_sees_all(NewList(image_records_, images_, freshness)));
  router.Serve(images_.resource, "watch",
               for_who_sees_all(NewWatch(image_hub_, images_, freshness)));
}

void ViewResources::BindGets(endpoints::Router& router, endpoints::Freshness& freshness,
                             const endpoints::Seeker& seeker) {
  const std::pair<const registry::Resource&, endpoints::ViewQuery> queries[] = {
      {registry::Blobs(), endpoints::BlobQuery()},
      {registry::LayersOfImages(), endpoints::ImageLayersQuery()},
      {registry::LayersOfImageStreams(), endpoints::ImageStreamLayersQuery()},
      {registry::LayerUsages(), endpoints::LayerUsageQuery(usages_)}};
  for (const auto& [resource, query] : queries) {
    auto& handler = *gets_.emplace_back(std::make_unique<endpoints::ViewHandler>(
        parts_.index, freshness, seeker, audiences_, parts_.workers, clock_, query));
    router.Serve(resource, "get", endpoints::ServeBy(handler));
  }
}

endpoints::ListHandler& ViewResources::NewList(const endpoints::Records& records,
                                               const objects::Kind& kind,
                                               endpoints::Freshness& freshness) {
  return *lists_.emplace_back(
      std::make_unique<endpoints::ListHandler>(records, kind, freshness, parts_.listers, clock_));
}

endpoints::WatchHandler& ViewResources::NewWatch(objects::Hub& hub, const objects::Kind& kind,
                                                 endpoints::Freshness& freshness) {
  return *watches_.emplace_back(std::make_unique<endpoints::WatchHandler>(
      hub, kind, freshness, parts_.listers, parts_.as.watching, clock_));
}

void ViewResources::Start() {
  stream_hub_.Start();
  image_hub_.Start();
}

void ViewResources::EndWatches() {
  stream_hub_.EndWatches();
  image_hub_.EndWatches();
}

void ViewResources::Stop() {
  stream_hub_.Stop();
  image_hub_.Stop();
}

}  // namespace strata::start
