#include "server/views/stream_view.h"

#include <algorithm>

#include "server/layers/maps.h"

namespace strata::views {
namespace {

using layers::Gathered;
using layers::Maps;
using layers::NameId;
using layers::Reading;

base::Revision RevisionOf(const Reading& reading, const Gathered::Node& node) {
  if (node.image != nullptr) return node.image->revision();
  const layers::ImagePointer vanished = reading.records.vanished.Find(node.name);
  return vanished == nullptr ? reading.records.listed : vanished->revision();
}

void Fill(const Reading& reading, const Maps::Blob& blob, v1alpha1::ImageStreamLayers& object) {
  auto& data = (*object.mutable_blobs())[reading.Text(blob.name)];
  if (blob.has_size) data.set_size(blob.size);
  data.set_media_type(reading.Text(blob.media_type));
}

void Fill(const Reading& reading, const Maps::Image& image, v1alpha1::ImageStreamLayers& object) {
  auto& references = (*object.mutable_images())[reading.Text(image.name)];
  references.set_image_missing(image.entry == nullptr);
  if (image.entry == nullptr) return;
  for (const NameId layer : image.entry->layer_names()) references.add_layers(reading.Text(layer));
  if (image.entry->config() != layers::kNoName)
    references.set_config(reading.Text(image.entry->config()));
  for (const NameId manifest : image.entry->manifests())
    references.add_manifests(reading.Text(manifest));
}

}  // namespace

base::StatusOr<StreamView> ViewOf(const Reading& reading, const layers::StreamPointer& stream) {
  STRATA_ASSIGN_OR_RETURN(const Gathered gathered, layers::Gather(reading, stream));
  StreamView view{.revision = stream->revision(), .object = {}};
  for (const Gathered::Node& node : gathered.nodes)
    view.revision = std::max(view.revision, RevisionOf(reading, node));
  const std::string_view metadata = stream->metadata();
  auto& meta = *view.object.mutable_metadata();
  if (!meta.ParseFromArray(metadata.data(), static_cast<int>(metadata.size())))
    return base::DataLossError("metadata doesn't parse");
  meta.clear_managed_fields();  // of the stream's own fields
  meta.clear_resource_version();
  const Maps maps = MakeMaps(reading.names, reading.known, gathered, reading.stop);
  for (const Maps::Blob& blob : maps.blobs) Fill(reading, blob, view.object);
  for (const Maps::Image& image : maps.images) Fill(reading, image, view.object);
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  return view;
}

}  // namespace strata::views
