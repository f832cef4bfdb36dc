// layerusages: what the image streams of each namespace take.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "proto/layers/v1alpha1/layers.pb.h"
#include "server/layers/maps.h"
#include "server/layers/reading.h"

namespace strata::views {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

// Of all namespaces at one revision, which they don't say: what is one's own depends on the others.
// In the order of their streams' keys: that of `a-b` before that of `a`.
using Usages = std::vector<v1alpha1::LayerUsage>;

// Counts stream after stream, in the order of their keys. Beside the usages it holds each layer
// once, whoever reaches it, and the images of one namespace.
class UsageCounter {
 public:
  // The reading outlives it.
  explicit UsageCounter(const layers::Reading& reading) : reading_(reading), pulse_(reading.stop) {}

  // Not all of it once nobody waits.
  void Add(const layers::StreamEntry& stream);
  // Layers and images.
  size_t held() const { return layers_.size() + seen_.size(); }
  Usages Take() { return std::move(usages_); }

 private:
  static constexpr uint32_t kMany = UINT32_MAX;
  // Who reaches a layer, by their places among the usages.
  struct Layer {
    int64_t added;   // to the first one's sums
    uint32_t owner;  // who alone does, or kMany
    uint32_t last;   // who was the last that was seen to
  };

  void Visit(const layers::StreamEntry& stream);
  void CountImage(const layers::ImageEntry* image);
  void CountLayer(const layers::ImageEntry::Layer& layer);

  const layers::Reading& reading_;
  layers::Pulse pulse_;
  Usages usages_;
  absl::flat_hash_map<layers::NameId, Layer> layers_;
  absl::flat_hash_set<layers::NameId> seen_;  // of the last namespace
};

// kCancelled.
base::StatusOr<Usages> UsagesOf(const layers::Reading& reading);

// Under which it stands: that of an image stream which is called as its namespace.
std::string KeyOf(std::string_view ns);

// Of one namespace; null if it has no image streams.
const v1alpha1::LayerUsage* Find(const Usages& usages, std::string_view ns);

// Remembers the last ones, for many ask after one change, and a list goes on where others have
// asked for newer ones. Thread-safe.
class UsageMemory {
 public:
  // Revisions.
  static constexpr size_t kMostKnown = 16;

  // All that it remembers together takes `max_bytes`, but the last one is kept whatever it takes.
  static constexpr size_t kMaxBytes = size_t{32} << 20;
  explicit UsageMemory(size_t max_bytes = kMaxBytes) : max_bytes_(max_bytes) {}

  // As they are in the reading.
  base::StatusOr<std::shared_ptr<const Usages>> Of(const layers::Reading& reading)
      ABSL_LOCKS_EXCLUDED(mu_);

  // What it remembers, about.
  size_t bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Known {
    uint64_t list;
    base::Revision changed;
    std::shared_ptr<const Usages> usages;
    size_t bytes;
  };
  // Null if they aren't known.
  std::shared_ptr<const Usages> FindLocked(const layers::Snapshot& records)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Remember(const layers::Snapshot& records, std::shared_ptr<const Usages> usages)
      ABSL_LOCKS_EXCLUDED(mu_);

  const size_t max_bytes_;
  mutable base::Mutex mu_;
  std::deque<Known> known_ ABSL_GUARDED_BY(mu_);  // those last that were asked for last
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;         // of them all
};

}  // namespace strata::views
