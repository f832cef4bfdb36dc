#include "server/views/usage.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <map>
#include <utility>

#include "server/layers/maps.h"

namespace strata::views {
namespace {

using layers::ImageEntry;
using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamPointer;

// One namespace, while all are counted.
struct Space {
  std::vector<StreamPointer> streams;
  std::vector<NameId> layers;  // each once
  v1alpha1::LayerUsage usage;
};

class Counter {
 public:
  explicit Counter(const Reading& reading) : reading_(reading), pulse_(reading.stop) {}

  base::StatusOr<Usages> Count() {
    reading_.records.streams.ForEach([this](const StreamPointer& stream) {
      spaces_[layers::NamespaceOf(*stream)].streams.push_back(stream);
    });
    uint32_t number = 0;
    for (auto& [ns, space] : spaces_) CountReached(number++, space);
    Usages usages;
    for (auto& [ns, space] : spaces_) {
      CountBytes(space);
      Name(ns, space.usage);
      usages.push_back(std::move(space.usage));
    }
    if (reading_.stop.stop_requested()) return base::CancelledError("nobody waits any more");
    return usages;
  }

 private:
  // Who reaches a layer.
  struct Layer {
    int64_t size;
    uint32_t last;  // the number of the last namespace that was seen to
    bool is_shared = false;
  };

  // All images that the namespace's streams reach, and their layers.
  void CountReached(uint32_t number, Space& space) {
    absl::flat_hash_set<NameId> seen;
    std::vector<ImagePointer> lists;
    const auto visit = [&](std::span<const NameId> images) {
      for (const NameId name : images) {
        if (pulse_.IsOver()) return;
        if (!seen.insert(name).second) continue;
        ImagePointer image = reading_.records.images.Find(name);
        CountImage(number, image.get(), space);
        if (image != nullptr && !image->manifests().empty()) lists.push_back(std::move(image));
      }
    };
    for (const StreamPointer& stream : space.streams) {
      v1alpha1::LayerUsage& usage = space.usage;
      usage.set_image_streams(usage.image_streams() + 1);
      if (!stream->usable())
        usage.set_unreadable_image_streams(usage.unreadable_image_streams() + 1);
      visit(stream->images());
    }
    while (!lists.empty()) {
      const ImagePointer list = std::move(lists.back());
      lists.pop_back();
      visit(list->manifests());
    }
  }

  void CountImage(uint32_t number, const ImageEntry* image, Space& space) {
    v1alpha1::LayerUsage& usage = space.usage;
    if (image == nullptr) return usage.set_missing_images(usage.missing_images() + 1);
    usage.set_images(usage.images() + 1);
    if (!image->usable()) return usage.set_unreadable_images(usage.unreadable_images() + 1);
    for (size_t i = 0; i < image->layer_names().size(); ++i) {
      const ImageEntry::Layer layer = image->layer(i);
      const auto [found, is_new] = layers_.try_emplace(layer.name, Layer{layer.size, number});
      Layer& known = found->second;
      if (!is_new && known.last == number) continue;
      known.is_shared = known.is_shared || !is_new;
      known.last = number;
      space.layers.push_back(layer.name);
    }
  }

  void CountBytes(Space& space) {
    int64_t own = 0, shared = 0;
    for (const NameId name : space.layers) {
      const Layer& layer = layers_.find(name)->second;
      (layer.is_shared ? shared : own) += layer.size;
    }
    space.usage.set_layers(static_cast<int64_t>(space.layers.size()));
    space.usage.set_size(own + shared);
    space.usage.set_unique_size(own);
    space.usage.set_shared_size(shared);
  }

  void Name(std::string_view ns, v1alpha1::LayerUsage& usage) const {
    auto& metadata = *usage.mutable_metadata();
    metadata.set_name(std::string(ns));
    metadata.set_namespace_(std::string(ns));
    metadata.set_resource_version(std::to_string(reading_.records.revision));
  }

  const Reading& reading_;
  layers::Pulse pulse_;
  struct ByKey {
    bool operator()(std::string_view a, std::string_view b) const { return KeyOf(a) < KeyOf(b); }
  };
  std::map<std::string_view, Space, ByKey> spaces_;
  absl::flat_hash_map<NameId, Layer> layers_;
};

}  // namespace

std::string KeyOf(std::string_view ns) {
  return std::string(ns).append("/").append(ns);
}

base::StatusOr<Usages> UsagesOf(const Reading& reading) {
  return Counter(reading).Count();
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
    if (last_ != nullptr && revision_ == reading.records.revision && list_ == reading.records.list)
      return last_;
  }
  STRATA_ASSIGN_OR_RETURN(Usages counted, UsagesOf(reading));
  auto usages = std::make_shared<const Usages>(std::move(counted));
  base::MutexLock lock(&mu_);
  last_ = usages;
  revision_ = reading.records.revision;
  list_ = reading.records.list;
  return usages;
}

}  // namespace strata::views
