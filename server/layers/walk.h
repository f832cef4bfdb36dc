// The images that a stream reaches, found a few steps at a time: so that nobody holds the index's
// lock for as long as a large stream's walk takes, and still all that is found is of one revision,
// the one of the last step.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/layers/answer.h"
#include "server/layers/entry.h"
#include "server/layers/snapshot.h"

namespace strata::layers {

// Not thread-safe: Step and the rest under the index's shared lock, by one thread; Replace under
// its exclusive one.
class Walk {
 public:
  // All names that were visited, with their places in the order of visits.
  using Reach = absl::flat_hash_map<NameId, uint32_t>;
  enum class State { kMore, kDone, kTooLarge };

  Walk() = default;
  // Images, layers and children of lists are counted each time that they are named.
  Walk(StreamPointer stream, size_t max_entries);

  // Depth first, in stored order, each image once; as many names are looked at as `steps` says.
  State Step(size_t steps, const Images& images);
  // A visited image is another one now. False if that changes the way: it has to begin again.
  bool Replace(NameId name, const ImagePointer& image);
  bool Visited(NameId name) const { return reach_.contains(name); }

  // Named so far.
  size_t entries() const { return entries_; }
  // What was found; the walk is over then. TakeReach leaves Visited with nothing.
  Gathered TakeGathered() { return {std::move(stream_), std::move(nodes_)}; }
  Reach TakeReach() { return std::move(reach_); }

 private:
  // Names that are still to be looked at, and whose they are.
  struct Frame {
    ImagePointer owner;  // null: the stream
    std::span<const NameId> rest;
  };
  static size_t EntriesOf(const ImagePointer& image) {
    return image == nullptr ? 0 : image->layer_names().size() + image->manifests().size();
  }

  StreamPointer stream_;
  size_t max_entries_ = 0;
  size_t entries_ = 0;
  std::vector<Gathered::Node> nodes_;
  Reach reach_;
  std::vector<Frame> frames_;
};

// Why a stream has no answer that reaches more than that.
std::string TooLarge(size_t max_entries);

}  // namespace strata::layers
