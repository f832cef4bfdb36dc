#include "server/layers/entry.h"

#include <algorithm>
#include <utility>

namespace strata::layers {

void Recycler::Return(std::vector<NameId> names) {
  absl::MutexLock lock(&mu_);
  if (returned_.empty()) {
    returned_ = std::move(names);
  } else {
    returned_.insert(returned_.end(), names.begin(), names.end());
  }
}

std::vector<NameId> Recycler::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(returned_, {});
}

ImageEntry::ImageEntry(Recycler& recycler, NameId media_type, NameId config, bool config_unknown, bool dropped_layers,
                       bool dropped_beside_manifests, std::span<const Layer> layers, std::span<const NameId> manifests,
                       std::string unreadable)
    : recycler_(recycler),
      unreadable_(unreadable.empty() ? nullptr : std::make_unique<const std::string>(std::move(unreadable))),
      layers_(layers.empty() ? nullptr : new Layer[layers.size()]),
      manifests_(manifests.empty() ? nullptr : new NameId[manifests.size()]),
      layer_count_(static_cast<uint32_t>(layers.size())),
      manifest_count_(static_cast<uint32_t>(manifests.size())),
      media_type_(media_type),
      config_(config),
      config_unknown_(config_unknown),
      dropped_layers_(dropped_layers),
      dropped_beside_manifests_(dropped_beside_manifests) {
  std::copy(layers.begin(), layers.end(), layers_.get());
  std::copy(manifests.begin(), manifests.end(), manifests_.get());
}

ImageEntry::~ImageEntry() {
  std::vector<NameId> names = {media_type_, config_};
  for (const Layer& layer : layers()) {
    names.push_back(layer.name);
    names.push_back(layer.media_type);
  }
  names.insert(names.end(), manifests().begin(), manifests().end());
  recycler_.Return(std::move(names));
}

StreamEntry::StreamEntry(Recycler& recycler, base::Revision revision, std::string metadata, std::vector<NameId> images,
                         std::string unreadable)
    : recycler_(recycler),
      revision_(revision),
      metadata_(std::move(metadata)),
      unreadable_(std::move(unreadable)),
      images_(std::move(images)) {
  images_.shrink_to_fit();
}

StreamEntry::~StreamEntry() { recycler_.Return(std::move(images_)); }

}  // namespace strata::layers
