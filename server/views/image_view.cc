#include "server/views/image_view.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <utility>

#include "lib/base/sizes.h"
#include "server/layers/maps.h"
#include "server/layers/tags.h"

namespace strata::views {
namespace {

using layers::ImageEntry;
using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamEntry;
using layers::StreamPointer;

// Of the first `count` layers, each once.
int64_t SizeOf(const ImageEntry& image, size_t count) {
  absl::flat_hash_set<NameId> seen;
  int64_t size = 0;
  for (size_t i = 0; i < count; ++i) {
    const ImageEntry::Layer layer = image.layer(i);
    if (seen.insert(layer.name).second) size = base::AddSize(size, layer.size);
  }
  return size;
}

std::vector<std::string> Sorted(const Reading& reading, const std::vector<ImagePointer>& images) {
  std::vector<std::string> names;
  names.reserve(images.size());
  for (const ImagePointer& image : images) names.push_back(reading.Text(image->name()));
  std::sort(names.begin(), names.end());
  return names;
}

// Among the stream's images, from 1; 0: a list that the image is in is there instead.
uint32_t PlaceOf(const StreamEntry& stream, NameId image) {
  const auto names = stream.images();
  const auto found = std::find(names.begin(), names.end(), image);
  return found == names.end() ? 0 : static_cast<uint32_t>(found - names.begin() + 1);
}

}  // namespace

void FillOwn(const Reading& reading, const ImageEntry& image, v1alpha1::ImageLayers& object) {
  object.mutable_metadata()->set_name(reading.Text(image.name()));
  object.mutable_metadata()->set_resource_version(std::to_string(reading.records.revision));
  if (!image.usable()) {
    object.set_unreadable(reading.Text(image.unreadable()));
    return;
  }
  const size_t count = image.layer_names().size();
  object.set_media_type(reading.Text(image.media_type()));
  object.set_size(SizeOf(image, count));
  object.set_config(reading.Text(image.config()));
  for (size_t i = 0; i < count; ++i) {
    const ImageEntry::Layer from = image.layer(i);
    v1alpha1::ImageLayer& layer = *object.add_layers();
    layer.set_name(reading.Text(from.name));
    layer.set_size(from.size);
    layer.set_media_type(reading.Text(from.media_type));
  }
  for (const NameId manifest : image.manifests()) object.add_manifests(reading.Text(manifest));
}

void FillLists(const Reading& reading, const std::vector<ImagePointer>& lists,
               v1alpha1::ImageLayers& object) {
  for (std::string& name : Sorted(reading, lists)) object.add_manifest_lists(std::move(name));
}

void AddTags(const StreamEntry& stream, uint32_t place, v1alpha1::ImageLayers& object) {
  v1alpha1::TaggedImage& tagged = *object.add_streams();
  tagged.set_namespace_(std::string(layers::NamespaceOf(stream)));
  tagged.set_name(std::string(layers::NameOf(stream)));
  layers::ForEachTagOf(place, stream.tags(), [&](std::string_view name, bool is_newest) {
    *(is_newest ? tagged.add_tags() : tagged.add_earlier_tags()) = std::string(name);
  });
}

bool IsBase(const ImageEntry& base, const ImageEntry& image) {
  const auto below = base.layer_names(), all = image.layer_names();
  // The last is what most differ in.
  return !below.empty() && below.size() < all.size() && below.back() == all[below.size() - 1] &&
         std::equal(below.begin(), below.end(), all.begin());
}

void FillBase(const Reading& reading, const ImageEntry& image,
              const std::vector<ImagePointer>& bases, v1alpha1::ImageLayers& object) {
  v1alpha1::BaseImages& base = *object.mutable_base();
  const size_t count = bases.front()->layer_names().size();
  base.set_layers(static_cast<int64_t>(count));
  base.set_size(SizeOf(image, count));
  std::vector<std::string> names = Sorted(reading, bases);
  names.resize(std::min(names.size(), kMaxBases));
  for (std::string& name : names) base.add_images(std::move(name));
}

base::StatusOr<ImageView> ImageView::Of(const Reading& reading, std::string_view name) {
  const NameId id = reading.names.Find(name);
  ImagePointer image = reading.records.images.Find(id);
  if (image == nullptr) return base::NotFoundError("there is no such image");
  std::vector<ImagePointer> lists, bases;
  layers::Pulse pulse(reading.stop);
  reading.records.images.ForEach([&](const ImagePointer& other) {
    if (pulse.IsOver()) return;
    const auto children = other->manifests();
    if (std::find(children.begin(), children.end(), id) != children.end()) lists.push_back(other);
    if (IsBase(*other, *image)) bases.push_back(other);
  });
  std::vector<NameId> reached = {id};
  for (const ImagePointer& list : lists) reached.push_back(list->name());
  for (const ImagePointer& base : bases) reached.push_back(base->name());
  STRATA_ASSIGN_OR_RETURN(Reach reach, Reach::Of(reading, reached));
  return ImageView(std::move(image), std::move(lists), std::move(bases), std::move(reach));
}

base::StatusOr<ImageView::Object> ImageView::Show(const Reading& reading,
                                                  const Audience& audience) const {
  const SeenImages seen = reach_.SeenBy(audience);
  if (!seen.contains(image_->name())) return base::NotFoundError("it may not be seen");
  std::vector<ImagePointer> lists;
  for (const ImagePointer& list : lists_) {
    if (seen.contains(list->name())) lists.push_back(list);
  }
  std::vector<std::pair<StreamPointer, uint32_t>> streams;
  for (const StreamPointer& stream : reach_.streams()) {
    const uint32_t place = audience.Sees(*stream) ? PlaceOf(*stream, image_->name()) : 0;
    if (place != 0) streams.emplace_back(stream, place);
  }
  STRATA_RETURN_IF_ERROR(CheckUsers(reading, lists.size() + streams.size()));
  Object object;
  FillOwn(reading, *image_, object);
  FillLists(reading, lists, object);
  ShowBase(reading, seen, object);
  for (const auto& [stream, place] : streams) AddTags(*stream, place, object);
  return object;
}

void ImageView::ShowBase(const Reading& reading, const SeenImages& seen, Object& object) const {
  std::vector<ImagePointer> longest;
  for (const ImagePointer& base : bases_) {
    if (!seen.contains(base->name())) continue;
    const size_t count = base->layer_names().size();
    const size_t most = longest.empty() ? 0 : longest.front()->layer_names().size();
    if (count > most) longest.clear();
    if (count >= most) longest.push_back(base);
  }
  if (!longest.empty()) FillBase(reading, *image_, longest, object);
}

}  // namespace strata::views
