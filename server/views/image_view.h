// imagelayers: what one image is made of, what it is built on, and whose tags point at it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "proto/layers/v1alpha1/layers.pb.h"
#include "server/layers/reading.h"
#include "server/views/reach.h"

namespace strata::views {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

// All that there is to tell of an image, of which nobody is shown more than he may see.
class ImageView {
 public:
  using Object = v1alpha1::ImageLayers;

  // kNotFound: there is no such image. kCancelled.
  static base::StatusOr<ImageView> Of(const layers::Reading& reading, std::string_view name);

  // Of which it depends what is shown.
  std::vector<std::string> Namespaces() const { return reach_.Namespaces(); }

  // kNotFound: he may not know that there is such an image. kDataLoss: it is too much.
  base::StatusOr<Object> Show(const layers::Reading& reading, const Audience& audience) const;

 private:
  ImageView(layers::ImagePointer image, std::vector<layers::ImagePointer> lists,
            std::vector<layers::ImagePointer> bases, Reach reach)
      : image_(std::move(image)),
        lists_(std::move(lists)),
        bases_(std::move(bases)),
        reach_(std::move(reach)) {}

  void ShowBase(const layers::Reading& reading, const SeenImages& seen, Object& object) const;

  const layers::ImagePointer image_;
  const std::vector<layers::ImagePointer> lists_;  // that it is in
  const std::vector<layers::ImagePointer> bases_;  // all whose layers its own begin with
  const Reach reach_;                              // of the image, the lists and the bases
};

// What of an image's object is in its record alone.
void FillOwn(const layers::Reading& reading, const layers::ImageEntry& image,
             v1alpha1::ImageLayers& object);

// The lists that it is in, sorted.
void FillLists(const layers::Reading& reading, const std::vector<layers::ImagePointer>& lists,
               v1alpha1::ImageLayers& object);

// Adds the stream with its tags that point, or pointed, at its image at `place`, from 1.
void AddTags(const layers::StreamEntry& stream, uint32_t place, v1alpha1::ImageLayers& object);

// Whether all layers of `base`, of which there are some, are the beginning of the image's, which go
// on.
bool IsBase(const layers::ImageEntry& base, const layers::ImageEntry& image);

// At most this many are named.
inline constexpr size_t kMaxBases = 100;

// `bases` are some, all of one length.
void FillBase(const layers::Reading& reading, const layers::ImageEntry& image,
              const std::vector<layers::ImagePointer>& bases, v1alpha1::ImageLayers& object);

}  // namespace strata::views
