// What images are to each other and to streams: the lists that they are in, what they are built on,
// and whose tags point at them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "server/layers/reading.h"
#include "server/views/image_view.h"

namespace strata::views {

// Of some images, whoever may see them. It costs a look at every image and every stream, however
// many they are.
class Relations {
 public:
  // kCancelled.
  static base::StatusOr<Relations> Of(const layers::Reading& reading,
                                      std::span<const layers::ImagePointer> images);

  // The i-th image as everybody sees it who sees everything, but for its revision.
  v1alpha1::ImageLayers Show(const layers::Reading& reading, size_t i) const;

 private:
  struct Related {
    layers::ImagePointer image;
    std::vector<layers::ImagePointer> lists;
    std::vector<layers::ImagePointer> bases;     // the longest
    std::vector<layers::StreamPointer> streams;  // sorted
  };
  std::vector<Related> all_;
};

}  // namespace strata::views
