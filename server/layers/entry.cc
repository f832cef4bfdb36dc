#include "server/layers/entry.h"

#include <algorithm>
#include <tuple>
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
  packing.revision = parts.revision != 0;
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
      mixed_types_(packing.mixed_types),
      has_revision_(packing.revision) {
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
  word = std::copy(parts.manifests.begin(), parts.manifests.end(), word);
  if (!has_revision_) return;
  *word++ = static_cast<uint32_t>(parts.revision);
  *word = static_cast<uint32_t>(static_cast<uint64_t>(parts.revision) >> 32);
}

base::Revision ImageEntry::revision() const {
  if (!has_revision_) return 0;
  const uint32_t* halves = words() + (WordCount() - 2);
  return static_cast<base::Revision>(uint64_t{halves[1]} << 32 | halves[0]);
}

bool ImageEntry::SaysTheSame(const ImageEntry& other) const {
  const auto words_of = [](const ImageEntry& one) {
    return std::span(one.words(), one.WordCount() - (one.has_revision_ ? 2 : 0));
  };
  const auto members_of = [](const ImageEntry& one) {
    return std::tuple(one.name_, one.layer_count_, one.manifest_count_, one.media_type_,
                      one.config_, bool{one.is_unreadable_}, bool{one.config_unknown_},
                      bool{one.dropped_unnamed_}, bool{one.dropped_beside_manifests_},
                      bool{one.wide_sizes_}, bool{one.mixed_types_});
  };
  const auto mine = words_of(*this), its = words_of(other);
  return members_of(*this) == members_of(other) &&
         std::equal(mine.begin(), mine.end(), its.begin(), its.end());
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
                                std::string_view metadata, const std::vector<NameId>& images,
                                std::string_view tags) {
  return Make(recycler, {key, metadata, tags}, revision, images, /*usable=*/true);
}

StreamPointer StreamEntry::MakeUnreadable(Recycler& recycler, std::string_view key,
                                          base::Revision revision, std::string_view why) {
  return Make(recycler, {key, why, {}}, revision, {}, /*usable=*/false);
}

StreamPointer StreamEntry::Make(Recycler& recycler, const Texts& texts, base::Revision revision,
                                std::span<const NameId> images, bool usable) {
  const size_t tail = images.size_bytes() + (texts.tags.empty() ? 0 : sizeof(uint32_t)) +
                      texts.key.size() + texts.rest.size() + texts.tags.size();
  return StreamPointer(new (tail) StreamEntry(recycler, texts, revision, images, usable));
}

StreamEntry::StreamEntry(Recycler& recycler, const Texts& texts, base::Revision revision,
                         std::span<const NameId> images, bool usable)
    : image_count_(static_cast<uint32_t>(images.size())),
      recycler_(recycler),
      revision_(revision),
      key_size_(static_cast<uint32_t>(texts.key.size()) & 0x7FFFFFFF),
      has_tags_(texts.tags.empty() ? 0 : 1),
      rest_size_(static_cast<uint32_t>(texts.rest.size()) & 0x7FFFFFFF),
      usable_(usable) {
  auto* word = std::copy(images.begin(), images.end(), reinterpret_cast<NameId*>(this + 1));
  if (has_tags_ != 0) *word++ = static_cast<uint32_t>(texts.tags.size());
  auto* text = reinterpret_cast<char*>(word);
  for (const std::string_view part : {texts.key, texts.rest, texts.tags})
    text = std::copy(part.begin(), part.end(), text);
}

StreamEntry::~StreamEntry() {
  if (image_count_ > 0) recycler_.Return({images().begin(), images().end()});
}

}  // namespace strata::layers
