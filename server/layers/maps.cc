#include "server/layers/maps.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

namespace strata::layers {
namespace {

template <typename T>
void SortByName(const NameTable& names, std::vector<T>& items) {
  std::sort(items.begin(), items.end(), [&names](const T& a, const T& b) {
    if (a.rank != b.rank && NameTable::IsDigest(a.name) && NameTable::IsDigest(b.name)) {
      return a.rank < b.rank;
    }
    return names.Compare(a.name, b.name) < 0;
  });
}

}  // namespace

// First writer wins a blob, in the order layers, config, the image itself, and then its children
// (etcd.go addImageStreamLayers).
Maps MakeMaps(const NameTable& names, const WellKnown& known, const Gathered& gathered,
              const std::stop_token& stop) {
  Maps maps;
  Pulse pulse(stop);
  absl::flat_hash_set<NameId> seen;
  const auto is_new = [&seen](NameId name) { return seen.insert(name).second; };
  maps.images.reserve(gathered.nodes.size());
  for (const Gathered::Node& node : gathered.nodes) {
    const bool usable = node.image != nullptr && node.image->usable();
    maps.images.push_back({names.Rank(node.name), node.name, usable ? node.image.get() : nullptr});
    if (!usable) continue;
    const ImageEntry& image = *node.image;
    for (size_t i = 0; i < image.layer_names().size(); ++i) {
      if (pulse.IsOver()) return {};
      const NameId name = image.layer_names()[i];
      if (!is_new(name)) continue;
      const ImageEntry::Layer layer = image.layer(i);
      maps.blobs.push_back({names.Rank(name), name, layer.media_type, layer.size, true});
    }
    if (image.config() != kNoName && is_new(image.config())) {
      const NameId type = ConfigTypeOf(known, image);
      maps.blobs.push_back({names.Rank(image.config()), image.config(), type, 0, false});
    }
    if (is_new(node.name)) {
      maps.blobs.push_back({names.Rank(node.name), node.name, image.media_type(), 0, false});
    }
  }
  if (stop.stop_requested()) return {};
  SortByName(names, maps.blobs);
  SortByName(names, maps.images);
  return maps;
}

}  // namespace strata::layers
