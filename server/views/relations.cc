#include "server/views/relations.h"

#include <absl/container/flat_hash_map.h>
#include <absl/hash/hash.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "server/layers/maps.h"

namespace strata::views {
namespace {

using layers::ImageEntry;
using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamPointer;

// Chains of layers, base first, by a hash of them all.
using Chain = uint64_t;
Chain Extended(Chain chain, NameId layer) {
  return absl::HashOf(chain, layer);
}

// The beginnings of images' layers, and whose they are.
class Beginnings {
 public:
  void Add(const ImageEntry& image, size_t place) {
    const auto layers = image.layer_names();
    Chain chain = 0;
    for (size_t count = 1; count < layers.size(); ++count) {
      chain = Extended(chain, layers[count - 1]);
      by_chain_[chain].push_back(place);
    }
  }
  // The places of those that may be built on the image.
  std::span<const size_t> Above(const ImageEntry& image) const {
    Chain chain = 0;
    for (const NameId layer : image.layer_names()) chain = Extended(chain, layer);
    const auto found = by_chain_.find(chain);
    return found == by_chain_.end() ? std::span<const size_t>() : found->second;
  }

 private:
  absl::flat_hash_map<Chain, std::vector<size_t>> by_chain_;
};

void KeepLongest(const ImagePointer& base, std::vector<ImagePointer>& bases) {
  const size_t most = bases.empty() ? 0 : bases.front()->layer_names().size();
  const size_t count = base->layer_names().size();
  if (count > most) bases.clear();
  if (count >= most) bases.push_back(base);
}

}  // namespace

base::StatusOr<Relations> Relations::Of(const Reading& reading,
                                        std::span<const ImagePointer> images) {
  Relations relations;
  absl::flat_hash_map<NameId, size_t> places;
  Beginnings beginnings;
  for (const ImagePointer& image : images) {
    places.emplace(image->name(), relations.all_.size());
    beginnings.Add(*image, relations.all_.size());
    relations.all_.push_back({image, {}, {}, {}});
  }
  const auto find = [&](NameId name) {
    const auto found = places.find(name);
    return found == places.end() ? nullptr : &relations.all_[found->second];
  };
  layers::Pulse pulse(reading.stop);
  reading.records.lists.ForEach([&](const ImagePointer& list) {
    for (const NameId child : list->manifests()) {
      if (pulse.IsOver()) return;
      Related* related = find(child);
      // A list may name a child twice.
      if (related != nullptr && (related->lists.empty() || related->lists.back() != list))
        related->lists.push_back(list);
    }
  });
  reading.records.images.ForEach([&](const ImagePointer& image) {
    if (pulse.IsOver() || image->layer_names().empty()) return;
    for (const size_t place : beginnings.Above(*image)) {
      Related& related = relations.all_[place];
      if (IsBase(*image, *related.image)) KeepLongest(image, related.bases);
    }
  });
  reading.records.streams.ForEach([&](const StreamPointer& stream) {
    for (const NameId name : stream->images()) {
      if (pulse.IsOver()) return;
      if (Related* related = find(name); related != nullptr) related->streams.push_back(stream);
    }
  });
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  for (Related& related : relations.all_) {
    std::sort(related.streams.begin(), related.streams.end(),
              [](const StreamPointer& a, const StreamPointer& b) { return a->key() < b->key(); });
  }
  return relations;
}

v1alpha1::ImageLayers Relations::Show(const Reading& reading, size_t i) const {
  const Related& related = all_[i];
  v1alpha1::ImageLayers object;
  FillOwn(reading, *related.image, object);
  FillLists(reading, related.lists, object);
  if (!related.bases.empty()) FillBase(reading, *related.image, related.bases, object);
  for (const StreamPointer& stream : related.streams)
    AddTags(*stream, related.image->name(), object);
  return object;
}

}  // namespace strata::views
