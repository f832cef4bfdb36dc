// Which image streams reach images: those that name one, or a list that it is in.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <span>
#include <string>
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

// What it may see of some images: those that are reached from where it sees something.
struct SeenImages {
  bool all = false;
  absl::flat_hash_set<layers::NameId> names = {};

  bool contains(layers::NameId image) const { return all || names.contains(image); }
};

// It costs a look at each list and each stream, however many ways lead from one to the other: a
// bound of those would let whoever makes ways decide what others may get.
class Reach {
 public:
  // Of all `images` together. kCancelled.
  static base::StatusOr<Reach> Of(const layers::Reading& reading,
                                  std::span<const layers::NameId> images);

  // Each once, sorted.
  std::span<const layers::StreamPointer> streams() const { return streams_; }
  // Of all these streams, each once, sorted.
  std::vector<std::string> Namespaces() const;
  SeenImages SeenBy(const Audience& audience) const;

 private:
  // The images and the lists above them; null: there is no such image.
  absl::flat_hash_map<layers::NameId, layers::ImagePointer> leading_;
  std::vector<layers::StreamPointer> streams_;
};

// kDataLoss: more users of something would be shown than an answer may hold.
base::Status CheckUsers(const layers::Reading& reading, size_t users);

}  // namespace strata::views
