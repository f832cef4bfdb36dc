// Which image streams reach an image: those that name it, or a list that it is in.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "server/layers/reading.h"

namespace strata::views {

// Whose image streams somebody may see: who may get the layers of a namespace's.
struct Audience {
  bool sees_all = false;
  base::StringSet namespaces = {};

  bool Sees(const layers::StreamEntry& stream) const {
    return sees_all || namespaces.contains(layers::NamespaceOf(stream));
  }
};

class Reach {
 public:
  // Of each of `images`. kDataLoss: it is more than reading.max_entries. kCancelled.
  static base::StatusOr<Reach> Of(const layers::Reading& reading,
                                  std::span<const layers::NameId> images);

  // Those that reach the i-th image, sorted.
  std::span<const layers::StreamPointer> streams(size_t i) const { return streams_[i]; }
  // Whether it may be seen: it is reached from where something may be.
  bool IsSeen(size_t i, const Audience& audience) const;
  // Of all these streams, each once, sorted.
  std::vector<std::string> Namespaces() const;

 private:
  std::vector<std::vector<layers::StreamPointer>> streams_;
};

}  // namespace strata::views
