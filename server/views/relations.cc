#include "server/views/relations.h"

#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "server/layers/maps.h"

namespace strata::views {
namespace {

using layers::ImageEntry;
using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamPointer;

// Hashes of the beginnings of layers, base first: of one layer, of two, and so on.
std::vector<uint64_t> ChainsOf(std::span<const NameId> layers) {
  std::vector<uint64_t> chains;
  chains.reserve(layers.size());
  for (const NameId layer : layers)
    chains.push_back(absl::HashOf(chains.empty() ? 0 : chains.back(), layer));
  return chains;
}

// Of all its layers; nothing if it has none.
std::optional<uint64_t> ChainOf(const ImageEntry& image) {
  if (image.layer_names().empty()) return std::nullopt;
  return ChainsOf(image.layer_names()).back();
}

// Those of one thing stay in the order in which they came. A list may name a child twice.
template <typename T>
std::vector<T> Sorted(std::vector<T> uses) {
  std::stable_sort(uses.begin(), uses.end(), [](const T& a, const T& b) { return a.of < b.of; });
  const auto same = [](const T& a, const T& b) { return a.of == b.of && a.by == b.by; };
  uses.erase(std::unique(uses.begin(), uses.end(), same), uses.end());
  return uses;
}

// The users of one thing, until `visit` says that these are enough.
template <typename Uses, typename Visit>
void ForEachUser(const Uses& uses, const typename Uses::Key& first, const Visit& visit) {
  uses.VisitFrom(first, [&](const auto& use) { return use.of == first.first && visit(use); });
}

}  // namespace

base::StatusOr<Relations> Relations::Of(const Reading& reading) {
  std::vector<StreamUse> streams;
  std::vector<ImageUse> lists, bases;
  layers::Pulse pulse(reading.stop);
  if (reading.records.orders) {
    reading.records.orders->streams.VisitFrom("", [&](const StreamPointer& stream) {
      uint32_t place = 0;
      for (const NameId image : stream->images()) streams.push_back({image, ++place, stream});
      return !pulse.IsOver();
    });
    reading.records.orders->images.VisitFrom("", [&](const ImagePointer& image) {
      for (const NameId child : image->manifests()) lists.push_back({child, image});
      if (const auto chain = ChainOf(*image)) bases.push_back({*chain, image});
      return !pulse.IsOver();
    });
  }
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  const ImageUseOrder by_image{&reading.names};
  return Relations(StreamUses(Sorted(std::move(streams))),
                   ImageUses(Sorted(std::move(lists)), by_image),
                   ImageUses(Sorted(std::move(bases)), by_image));
}

void Relations::Follow(const layers::Step& step) {
  for (const layers::ImageStep& image : step.images) Follow(image);
  for (const layers::StreamStep& stream : step.streams) Follow(stream);
}

void Relations::Follow(const layers::StreamStep& step) {
  absl::flat_hash_set<NameId> named;
  if (step.now != nullptr) {
    uint32_t place = 0;
    for (const NameId image : step.now->images()) {
      named.insert(image);
      streams_.Put({image, ++place, step.now});
    }
  }
  if (step.before == nullptr) return;
  for (const NameId image : step.before->images()) {
    if (!named.contains(image)) streams_.Take({image, step.before->key()});
  }
}

void Relations::Follow(const layers::ImageStep& step) {
  if (step.before != nullptr) {
    for (const NameId child : step.before->manifests()) lists_.Take({child, step.name});
    if (const auto chain = ChainOf(*step.before)) bases_.Take({*chain, step.name});
  }
  if (step.now == nullptr) return;
  for (const NameId child : step.now->manifests()) lists_.Put({child, step.now});
  if (const auto chain = ChainOf(*step.now)) bases_.Put({*chain, step.now});
}

v1alpha1::ImageLayers Relations::Show(const Reading& reading, const ImageEntry& image) const {
  v1alpha1::ImageLayers object;
  FillOwn(reading, image, object);
  std::vector<ImagePointer> lists;
  ForEachUser(lists_, {image.name(), layers::kNoName}, [&](const ImageUse& list) {
    lists.push_back(list.by);
    return true;
  });
  FillLists(reading, lists, object);
  ShowBase(reading, image, object);
  ForEachUser(streams_, {image.name(), ""}, [&](const StreamUse& stream) {
    AddTags(*stream.by, stream.place, object);
    return true;
  });
  return object;
}

// Of the longest beginning that is somebody's whole. Who has a chain's hash may have other layers.
void Relations::ShowBase(const Reading& reading, const ImageEntry& image,
                         v1alpha1::ImageLayers& object) const {
  const std::vector<uint64_t> chains = ChainsOf(image.layer_names());
  std::vector<ImagePointer> bases;
  for (size_t count = chains.size(); count > 1 && bases.empty(); --count) {
    const size_t below = count - 1;
    ForEachUser(bases_, {chains[below - 1], layers::kNoName}, [&](const ImageUse& base) {
      if (base.by->layer_names().size() == below && IsBase(*base.by, image))
        bases.push_back(base.by);
      return bases.size() < kMaxBases;
    });
  }
  if (!bases.empty()) FillBase(reading, image, bases, object);
}

}  // namespace strata::views
