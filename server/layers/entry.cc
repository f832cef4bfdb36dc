#include "server/layers/entry.h"

#include <algorithm>
#include <utility>

namespace strata::layers {
namespace {

std::string Join(std::string_view key, std::string_view rest) {
  std::string text;
  text.reserve(key.size() + rest.size());
  return text.append(key).append(rest);
}

}  // namespace

void Recycler::Return(const std::vector<NameId>& names) {
  absl::MutexLock lock(&mu_);
  returned_.insert(returned_.end(), names.begin(), names.end());
}

std::vector<NameId> Recycler::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(returned_, {});
}

ImageEntry::ImageEntry(Recycler& recycler, const Parts& parts)
    : recycler_(recycler),
      layer_count_(static_cast<uint32_t>(parts.layers.size())),
      manifest_count_(static_cast<uint32_t>(parts.manifests.size())),
      media_type_(parts.unreadable == kNoName ? parts.media_type : parts.unreadable),
      config_(parts.config),
      is_unreadable_(parts.unreadable != kNoName),
      config_unknown_(parts.config_unknown),
      dropped_unnamed_(parts.dropped_unnamed),
      dropped_beside_manifests_(parts.dropped_beside_manifests),
      wide_sizes_(false),
      mixed_types_(false) {
  for (const Layer& layer : parts.layers) {
    wide_sizes_ = wide_sizes_ || static_cast<uint64_t>(layer.size) > UINT32_MAX;
    mixed_types_ = mixed_types_ || layer.media_type != parts.layers.front().media_type;
  }
  words_.reset(new uint32_t[word_count()]);
  uint32_t* word = words_.get();
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
  const uint32_t* sizes = words_.get() + layer_count_;
  const uint32_t* types = sizes + layer_count_ * (1 + wide_sizes_);
  uint64_t size = sizes[i];
  if (wide_sizes_) size |= uint64_t{sizes[layer_count_ + i]} << 32;
  return {words_[i], types[mixed_types_ ? i : 0], static_cast<int64_t>(size)};
}

ImageEntry::~ImageEntry() {
  std::vector<NameId> names = {media_type_, config_};
  names.reserve(2 + 2 * layer_count_ + manifest_count_);
  for (size_t i = 0; i < layer_count_; ++i) {
    names.push_back(layer(i).name);
    names.push_back(layer(i).media_type);
  }
  names.insert(names.end(), manifests().begin(), manifests().end());
  recycler_.Return(names);
}

StreamEntry::StreamEntry(Recycler& recycler, std::string_view key, base::Revision revision,
                         std::string_view metadata, std::vector<NameId> images)
    : recycler_(recycler),
      revision_(revision),
      text_(Join(key, metadata)),
      images_(new NameId[images.size()]),
      image_count_(static_cast<uint32_t>(images.size())),
      key_size_(static_cast<uint32_t>(key.size())),
      usable_(true) {
  std::copy(images.begin(), images.end(), images_.get());
}

StreamEntry::StreamEntry(Recycler& recycler, std::string_view key, base::Revision revision,
                         std::string_view unreadable)
    : recycler_(recycler),
      revision_(revision),
      text_(Join(key, unreadable)),
      image_count_(0),
      key_size_(static_cast<uint32_t>(key.size())),
      usable_(false) {}

StreamEntry::~StreamEntry() {
  if (image_count_ > 0) recycler_.Return({images().begin(), images().end()});
}

}  // namespace strata::layers
