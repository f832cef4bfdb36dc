#include "server/views/reach.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "server/layers/maps.h"

namespace strata::views {
namespace {

using layers::ImagePointer;
using layers::NameId;
using layers::Pulse;
using layers::Reading;
using layers::StreamPointer;

using Parents = absl::flat_hash_map<NameId, std::vector<NameId>>;

// The lists that each image is in.
Parents ParentsOf(const Reading& reading, Pulse& pulse) {
  Parents parents;
  reading.records.lists.ForEach([&](const ImagePointer& list) {
    for (const NameId child : list->manifests()) {
      if (pulse.IsOver()) return;
      parents[child].push_back(list->name());
    }
  });
  return parents;
}

}  // namespace

base::StatusOr<Reach> Reach::Of(const Reading& reading, std::span<const NameId> images) {
  Pulse pulse(reading.stop);
  const Parents parents = ParentsOf(reading, pulse);
  Reach reach;
  std::vector<NameId> open;
  const auto climb = [&](std::span<const NameId> names) {
    for (const NameId name : names) {
      if (pulse.IsOver()) return;
      const auto [added, is_new] = reach.leading_.try_emplace(name);
      if (!is_new) continue;
      added->second = reading.records.images.Find(name);
      open.push_back(name);
    }
  };
  climb(images);
  while (!open.empty() && !pulse.IsOver()) {
    const auto above = parents.find(open.back());
    open.pop_back();
    if (above != parents.end()) climb(above->second);
  }
  reading.records.streams.ForEach([&](const StreamPointer& stream) {
    const auto leads = [&](NameId name) { return pulse.IsOver() || reach.leading_.contains(name); };
    const auto names = stream->images();
    if (std::any_of(names.begin(), names.end(), leads)) reach.streams_.push_back(stream);
  });
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  std::sort(reach.streams_.begin(), reach.streams_.end(),
            [](const StreamPointer& a, const StreamPointer& b) { return a->key() < b->key(); });
  return reach;
}

std::vector<std::string> Reach::Namespaces() const {
  std::set<std::string_view> namespaces;
  for (const StreamPointer& stream : streams_) namespaces.insert(layers::NamespaceOf(*stream));
  return {namespaces.begin(), namespaces.end()};
}

SeenImages Reach::SeenBy(const Audience& audience) const {
  if (audience.sees_all) return {.all = true};
  SeenImages seen;
  std::vector<NameId> open;
  const auto see = [&](std::span<const NameId> names) {
    for (const NameId name : names) {
      if (leading_.contains(name) && seen.names.insert(name).second) open.push_back(name);
    }
  };
  for (const StreamPointer& stream : streams_) {
    if (audience.Sees(*stream)) see(stream->images());
  }
  while (!open.empty()) {
    const ImagePointer& image = leading_.at(open.back());
    open.pop_back();
    if (image != nullptr) see(image->manifests());
  }
  return seen;
}

base::Status CheckUsers(const Reading& reading, size_t users) {
  if (users <= reading.max_entries) return base::OkStatus();
  return base::DataLossError("too many image streams and images use it");
}

}  // namespace strata::views
