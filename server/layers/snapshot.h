// Every image and image stream that the index knows, at one revision. A copy costs nothing and
// stays as it is while the index goes on: what takes long works on one, without a lock.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/string_map.h"
#include "server/layers/entry.h"
#include "server/layers/shared_set.h"

namespace strata::layers {

struct ImageByName {
  using Key = NameId;
  static NameId Of(const ImageEntry& image) { return image.name(); }
  static uint32_t TagOf(NameId name) { return name; }
};

struct StreamByKey {
  using Key = std::string_view;
  static std::string_view Of(const StreamEntry& stream) { return stream.key(); }
  static uint32_t TagOf(std::string_view key) {
    return static_cast<uint32_t>(base::StringHash()(key));
  }
};

using Images = SharedSet<ImagePointer, ImageByName>;
using Streams = SharedSet<StreamPointer, StreamByKey>;

struct Snapshot {
  Images images;
  Streams streams;
};

}  // namespace strata::layers
