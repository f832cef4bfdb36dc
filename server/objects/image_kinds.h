// The objects of image.openshift.io/v1 that are listed and watched.
#pragma once

#include "lib/image/presentation.h"
#include "server/objects/kind.h"

namespace strata::objects {

struct ImageKinds {
  explicit ImageKinds(const image::RegistryHostnames& registry);

  const Kind streams, images;
  // Of each stream its tags.
  const Kind stream_tags, tags;
};

}  // namespace strata::objects
