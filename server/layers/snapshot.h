// Every image and image stream that the index knows, at one revision. A copy costs nothing and
// stays as it is while the index goes on: what takes long works on one, without a lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/revision.h"
#include "lib/base/string_map.h"
#include "server/layers/entry.h"
#include "server/layers/name_table.h"
#include "server/layers/shared_order.h"
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

struct StreamOrder {
  using Key = std::string_view;
  static std::string_view Of(const StreamEntry& stream) { return stream.key(); }
  static bool Less(const StreamEntry& stream, std::string_view key) { return stream.key() < key; }
  static bool Less(std::string_view key, const StreamEntry& stream) { return key < stream.key(); }
};

// By the texts of their names.
struct ImageOrder {
  using Key = std::string;
  std::string Of(const ImageEntry& image) const { return names->Text(image.name()); }
  bool Less(const ImageEntry& image, const std::string& key) const { return Of(image) < key; }
  bool Less(const std::string& key, const ImageEntry& image) const { return key < Of(image); }

  const NameTable* names;
};

struct Snapshot {
  base::Revision revision = 0;
  // Of the list that it began with, and which of all lists that was: what is of two of them can't
  // be compared.
  base::Revision listed = 0;
  uint64_t list = 0;
  // The last at which anything of it was changed.
  base::Revision changed = 0;
  Images images;
  Streams streams;

  // The rest is for views alone, and empty where nobody asks for them.
  struct Orders {
    SharedOrder<StreamPointer, StreamOrder> streams;
    SharedOrder<ImagePointer, ImageOrder> images;
  };
  std::optional<Orders> orders = {};
  // Images that are lists of others.
  Images lists = {};
  // Images that went after the list, by a deletion at their revision, while others name them.
  Images vanished = {};
};

}  // namespace strata::layers
