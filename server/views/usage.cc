#include "server/views/usage.h"

#include <algorithm>
#include <span>
#include <utility>

#include "lib/base/sizes.h"

namespace strata::views {

using layers::ImageEntry;
using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamPointer;

namespace {

size_t BytesOf(const Usages& usages) {
  size_t bytes = sizeof usages + (usages.capacity() - usages.size()) * sizeof(v1alpha1::LayerUsage);
  for (const v1alpha1::LayerUsage& usage : usages) bytes += usage.SpaceUsedLong();
  return bytes;
}

// Names that are still to be looked at, and whose they are.
struct Frame {
  ImagePointer owner;  // null: the stream
  std::span<const NameId> rest;
};

}  // namespace

void UsageCounter::Add(const layers::StreamEntry& stream) {
  const std::string_view ns = layers::NamespaceOf(stream);
  if (usages_.empty() || usages_.back().metadata().name() != ns) {
    seen_.clear();
    auto& metadata = *usages_.emplace_back().mutable_metadata();
    metadata.set_name(std::string(ns));
    metadata.set_namespace_(std::string(ns));
  }
  v1alpha1::LayerUsage& usage = usages_.back();
  usage.set_image_streams(usage.image_streams() + 1);
  if (!stream.usable()) usage.set_unreadable_image_streams(usage.unreadable_image_streams() + 1);
  Visit(stream);
}

// In the order of imagestreamlayers, so that the same image's word counts where some disagree.
void UsageCounter::Visit(const layers::StreamEntry& stream) {
  std::vector<Frame> frames = {{nullptr, stream.images()}};
  while (!frames.empty() && !pulse_.IsOver()) {
    std::span<const NameId>& rest = frames.back().rest;
    if (rest.empty()) {
      frames.pop_back();
      continue;
    }
    const NameId name = rest.front();
    rest = rest.subspan(1);
    if (!seen_.insert(name).second) continue;
    ImagePointer image = reading_.records.images.Find(name);
    CountImage(image.get());
    if (image == nullptr) continue;
    const auto children = image->manifests();
    frames.push_back({std::move(image), children});
  }
}

void UsageCounter::CountImage(const ImageEntry* image) {
  v1alpha1::LayerUsage& usage = usages_.back();
  if (image == nullptr) return usage.set_missing_images(usage.missing_images() + 1);
  usage.set_images(usage.images() + 1);
  if (!image->usable()) return usage.set_unreadable_images(usage.unreadable_images() + 1);
  for (size_t i = 0; i < image->layer_names().size(); ++i) {
    if (pulse_.IsOver()) return;
    CountLayer(image->layer(i));
  }
}

// By the namespace's own images alone: others may say of a layer what they like. What turns out to
// be shared isn't its first owner's own any more.
void UsageCounter::CountLayer(const ImageEntry::Layer& layer) {
  const auto own = static_cast<uint32_t>(usages_.size() - 1);
  const auto [found, is_new] = layers_.try_emplace(layer.name, Layer{0, own, own});
  Layer& known = found->second;
  if (!is_new && known.last == own) return;
  known.last = own;
  v1alpha1::LayerUsage& usage = usages_.back();
  usage.set_layers(usage.layers() + 1);
  const int64_t added = base::AddSize(usage.size(), layer.size) - usage.size();
  usage.set_size(usage.size() + added);
  if (is_new) {
    known.added = added;
    return usage.set_unique_size(usage.unique_size() + added);
  }
  usage.set_shared_size(usage.shared_size() + added);
  if (known.owner == kMany) return;
  v1alpha1::LayerUsage& first = usages_[std::exchange(known.owner, kMany)];
  first.set_unique_size(first.unique_size() - known.added);
  first.set_shared_size(first.shared_size() + known.added);
}

base::StatusOr<Usages> UsagesOf(const Reading& reading) {
  UsageCounter counter(reading);
  if (reading.records.orders) {
    reading.records.orders->streams.VisitFrom("", [&](const StreamPointer& stream) {
      counter.Add(*stream);
      return !reading.stop.stop_requested();
    });
  }
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  return counter.Take();
}

std::string KeyOf(std::string_view ns) {
  return std::string(ns).append("/").append(ns);
}

const v1alpha1::LayerUsage* Find(const Usages& usages, std::string_view ns) {
  const auto found = std::lower_bound(usages.begin(), usages.end(), KeyOf(ns),
                                      [](const v1alpha1::LayerUsage& usage, const std::string& to) {
                                        return KeyOf(usage.metadata().name()) < to;
                                      });
  return found == usages.end() || found->metadata().name() != ns ? nullptr : &*found;
}

base::StatusOr<std::shared_ptr<const Usages>> UsageMemory::Of(const Reading& reading) {
  {
    base::MutexLock lock(&mu_);
    if (auto known = FindLocked(reading.records)) return known;
  }
  STRATA_ASSIGN_OR_RETURN(Usages counted, UsagesOf(reading));
  auto usages = std::make_shared<const Usages>(std::move(counted));
  Remember(reading.records, usages);
  return usages;
}

std::shared_ptr<const Usages> UsageMemory::FindLocked(const layers::Snapshot& records) {
  const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& known) {
    return known.list == records.list && known.changed == records.changed;
  });
  if (found == known_.end()) return nullptr;
  std::rotate(found, found + 1, known_.end());
  return known_.back().usages;
}

void UsageMemory::Remember(const layers::Snapshot& records, std::shared_ptr<const Usages> usages) {
  const size_t bytes = BytesOf(*usages);
  std::vector<Known> forgotten;  // freed outside of the lock
  base::MutexLock lock(&mu_);
  if (FindLocked(records) != nullptr) return;  // somebody else has counted meanwhile
  bytes_ += bytes;
  known_.push_back({records.list, records.changed, std::move(usages), bytes});
  while (known_.size() > kMostKnown || (known_.size() > 1 && bytes_ > max_bytes_)) {
    bytes_ -= known_.front().bytes;
    forgotten.push_back(std::move(known_.front()));
    known_.pop_front();
  }
}

size_t UsageMemory::bytes() const {
  base::MutexLock lock(&mu_);
  return bytes_;
}

}  // namespace strata::views
