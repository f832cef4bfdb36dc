#include "server/views/reach.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "server/layers/maps.h"

namespace strata::views {
namespace {

using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamPointer;

using Parents = absl::flat_hash_map<NameId, std::vector<NameId>>;

// The lists that each image is in.
Parents ParentsOf(const Reading& reading) {
  Parents parents;
  reading.records.lists.ForEach([&](const ImagePointer& list) {
    for (const NameId child : list->manifests()) parents[child].push_back(list->name());
  });
  return parents;
}

// What leads to which of the images, by their places: themselves, and the lists above them.
class Leads {
 public:
  Leads(const Reading& reading, std::span<const NameId> images)
      : most_(reading.max_entries), pulse_(reading.stop) {
    const Parents parents = ParentsOf(reading);
    for (uint32_t i = 0; i < images.size() && !IsOver(); ++i) Climb(parents, images[i], i);
  }

  const std::vector<uint32_t>* Find(NameId name) const {
    const auto found = leads_.find(name);
    return found == leads_.end() ? nullptr : &found->second;
  }
  // It is too much, or nobody waits.
  bool IsOver() { return entries_ > most_ || pulse_.IsOver(); }
  void Count(size_t entries) { entries_ += entries; }

 private:
  void Climb(const Parents& parents, NameId image, uint32_t place) {
    absl::flat_hash_set<NameId> seen = {image};
    std::vector<NameId> open = {image};
    while (!open.empty() && !IsOver()) {
      const NameId name = open.back();
      open.pop_back();
      leads_[name].push_back(place);
      const auto above = parents.find(name);
      if (above == parents.end()) continue;
      Count(above->second.size());
      for (const NameId list : above->second) {
        if (seen.insert(list).second) open.push_back(list);
      }
    }
  }

  absl::flat_hash_map<NameId, std::vector<uint32_t>> leads_;
  const size_t most_;
  size_t entries_ = 0;
  layers::Pulse pulse_;
};

}  // namespace

base::StatusOr<Reach> Reach::Of(const Reading& reading, std::span<const NameId> images) {
  Leads leads(reading, images);
  Reach reach;
  reach.streams_.resize(images.size());
  reading.records.streams.ForEach([&](const StreamPointer& stream) {
    for (const NameId name : stream->images()) {
      if (leads.IsOver()) return;
      const std::vector<uint32_t>* to = leads.Find(name);
      if (to == nullptr) continue;
      leads.Count(to->size());
      for (const uint32_t place : *to) {
        auto& streams = reach.streams_[place];
        if (streams.empty() || streams.back() != stream) streams.push_back(stream);
      }
    }
  });
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  if (leads.IsOver()) return base::DataLossError("too many image streams and images use it");
  for (auto& streams : reach.streams_) {
    std::sort(streams.begin(), streams.end(),
              [](const StreamPointer& a, const StreamPointer& b) { return a->key() < b->key(); });
  }
  return reach;
}

bool Reach::IsSeen(size_t i, const Audience& audience) const {
  return audience.sees_all ||
         std::any_of(streams_[i].begin(), streams_[i].end(),
                     [&](const StreamPointer& stream) { return audience.Sees(*stream); });
}

std::vector<std::string> Reach::Namespaces() const {
  std::set<std::string_view> namespaces;
  for (const auto& streams : streams_) {
    for (const StreamPointer& stream : streams) namespaces.insert(layers::NamespaceOf(*stream));
  }
  return {namespaces.begin(), namespaces.end()};
}

}  // namespace strata::views
