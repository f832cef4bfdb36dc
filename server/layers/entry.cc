#include "server/layers/entry.h"

#include <algorithm>
#include <utility>

namespace strata::layers {
void Recycler::Return(const std::vector<NameId>& names) {
  absl::MutexLock lock(&mu_);
  returned_.insert(returned_.end(), names.begin(), names.end());
}

std::vector<NameId> Recycler::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(returned_, {});
}

ImageEntry::Packing ImageEntry::PackingOf(const Parts& parts) {
  Packing packing;
  for (const Layer& layer : parts.layers) {
    packing.wide_sizes |= static_cast<uint64_t>(layer.size) > UINT32_MAX;
    packing.mixed_types |= layer.media_type != parts.layers.front().media_type;
  }
  return packing;
}

ImagePointer ImageEntry::Make(Recycler& recycler, const Parts& parts) {
  const Packing packing = PackingOf(parts);
  const size_t words = WordCount(parts.layers.size(), parts.manifests.size(), packing);
  return ImagePointer(new (words * sizeof(uint32_t)) ImageEntry(recycler, parts, packing));
}

ImageEntry::ImageEntry(Recycler& recycler, const Parts& parts, Packing packing)
    : name_(parts.name),
      recycler_(recycler),
      layer_count_(static_cast<uint32_t>(parts.layers.size())),
      manifest_count_(static_cast<uint32_t>(parts.manifests.size())),
      media_type_(parts.unreadable == kNoName ? parts.media_type : parts.unreadable),
      config_(parts.config),
      is_unreadable_(parts.unreadable != kNoName),
      config_unknown_(parts.config_unknown),
      dropped_unnamed_(parts.dropped_unnamed),
      dropped_beside_manifests_(parts.dropped_beside_manifests),
      wide_sizes_(packing.wide_sizes),
      mixed_types_(packing.mixed_types) {
  auto* word = reinterpret_cast<uint32_t*>(this + 1);
  for (const Layer& layer : parts.layers) *word++ = layer.name;
  for (const Layer& layer : parts.layers) *word++ = static_cast<uint32_t>(layer.size);
  if (wide_sizes_) {
    for (const Layer& layer : parts.layers) {
      *word++ = static_cast<uint32_t>(static_cast<uint64_t>(layer.size) >> 32);
    }
  }
  if (mixed_types_) {
    for (const Layer& layer : parts.layers) *word++ = layer.media_type;
  } else {
    *word++ = parts.layers.empty() ? kNoName : parts.layers.front().media_type;
  }
  std::copy(parts.manifests.begin(), parts.manifests.end(), word);
}

ImageEntry::Layer ImageEntry::layer(size_t i) const {
  const uint32_t* sizes = words() + layer_count_;
  const uint32_t* types = sizes + layer_count_ * (size_t{1} + wide_sizes_);
  uint64_t size = sizes[i];
  if (wide_sizes_) size |= uint64_t{sizes[layer_count_ + i]} << 32;
  return {words()[i], types[mixed_types_ ? i : 0], static_cast<int64_t>(size)};
}

ImageEntry::~ImageEntry() {
  std::vector<NameId> names = {name_, media_type_, config_};
  names.reserve(3 + size_t{2} * layer_count_ + manifest_count_);
  for (size_t i = 0; i < layer_count_; ++i) {
    names.push_back(layer(i).name);
    names.push_back(layer(i).media_type);
  }
  names.insert(names.end(), manifests().begin(), manifests().end());
  recycler_.Return(names);
}

StreamPointer StreamEntry::Make(Recycler& recycler, std::string_view key, base::Revision revision,
                                std::string_view metadata, const std::vector<NameId>& images) {
  return Make(recycler, key, revision, metadata, images, /*usable=*/true);
}

StreamPointer StreamEntry::MakeUnreadable(Recycler& recycler, std::string_view key,
                                          base::Revision revision, std::string_view why) {
  return Make(recycler, key, revision, why, {}, /*usable=*/false);
}

StreamPointer StreamEntry::Make(Recycler& recycler, std::string_view key, base::Revision revision,
                                std::string_view rest, std::span<const NameId> images,
                                bool usable) {
  return StreamPointer(new (images.size_bytes() + key.size() + rest.size())
                           StreamEntry(recycler, key, revision, rest, images, usable));
}

StreamEntry::StreamEntry(Recycler& recycler, std::string_view key, base::Revision revision,
                         std::string_view rest, std::span<const NameId> images, bool usable)
    : image_count_(static_cast<uint32_t>(images.size())),
      recycler_(recycler),
      revision_(revision),
      key_size_(static_cast<uint32_t>(key.size())),
      rest_size_(static_cast<uint32_t>(rest.size()) & 0x7FFFFFFF),
      usable_(usable) {
  auto* const names = reinterpret_cast<NameId*>(this + 1);
  std::copy(images.begin(), images.end(), names);
  auto* const text = reinterpret_cast<char*>(names + images.size());
  std::copy(rest.begin(), rest.end(), std::copy(key.begin(), key.end(), text));
}

StreamEntry::~StreamEntry() {
  if (image_count_ > 0) recycler_.Return({images().begin(), images().end()});
}

}  // namespace strata::layers
