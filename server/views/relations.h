// What images are to each other and to streams: the lists that they are in, what they are built on,
// and whose tags point at them.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "lib/base/status.h"
#include "server/layers/changes.h"
#include "server/layers/reading.h"
#include "server/layers/shared_order.h"
#include "server/views/image_view.h"

namespace strata::views {

// Of something, an image or a chain of layers, that the image `by` uses.
struct ImageUse {
  uint64_t of;
  layers::ImagePointer by;

  const ImageUse& operator*() const { return *this; }  // as an order asks for
};

// Of an image, which stands at `place`, from 1, among those of the stream.
struct StreamUse {
  layers::NameId of;
  uint32_t place;
  layers::StreamPointer by;

  const StreamUse& operator*() const { return *this; }
};

struct StreamUseOrder {
  using Key = std::pair<layers::NameId, std::string_view>;
  static Key Of(const StreamUse& use) { return {use.of, use.by->key()}; }
  static bool Less(const StreamUse& use, const Key& key) { return Of(use) < key; }
  static bool Less(const Key& key, const StreamUse& use) { return key < Of(use); }
};

// By what is used, and then by the texts of the users' names. None is less than all.
struct ImageUseOrder {
  using Key = std::pair<uint64_t, layers::NameId>;
  static Key Of(const ImageUse& use) { return {use.of, use.by->name()}; }
  bool Less(const Key& a, const Key& b) const {
    if (a.first != b.first || a.second == layers::kNoName) return a < b;
    return b.second != layers::kNoName && names->Compare(a.second, b.second) < 0;
  }
  bool Less(const ImageUse& use, const Key& key) const { return Less(Of(use), key); }
  bool Less(const Key& key, const ImageUse& use) const { return Less(key, Of(use)); }

  const layers::NameTable* names;
};

// Of all images at one revision, as who sees everything sees them. A copy costs nothing, and stays
// as it is when another one follows what has changed.
class Relations {
 public:
  // It costs a look at every image and every stream, however many they are. kCancelled.
  static base::StatusOr<Relations> Of(const layers::Reading& reading);
  // Makes them what they are after the step. It costs what its records name.
  void Follow(const layers::Step& step);

  // An image of the revision, which is the reading's.
  v1alpha1::ImageLayers Show(const layers::Reading& reading, const layers::ImageEntry& image) const;

 private:
  using StreamUses = layers::SharedOrder<StreamUse, StreamUseOrder>;
  using ImageUses = layers::SharedOrder<ImageUse, ImageUseOrder>;

  Relations(StreamUses streams, ImageUses lists, ImageUses bases)
      : streams_(std::move(streams)), lists_(std::move(lists)), bases_(std::move(bases)) {}

  void Follow(const layers::StreamStep& step);
  void Follow(const layers::ImageStep& step);
  void ShowBase(const layers::Reading& reading, const layers::ImageEntry& image,
                v1alpha1::ImageLayers& object) const;

  StreamUses streams_;  // of images
  ImageUses lists_;     // of their children
  ImageUses bases_;     // of the chain of all their layers
};

}  // namespace strata::views
