// layers.strata.dev/v1alpha1: what the images of image streams are made of, as this server alone
// tells it.
#pragma once

#include "server/registry/resource.h"

namespace strata::registry {

const Group& LayersV1Alpha1();

// Its resources.
const Resource& Blobs();
const Resource& LayersOfImages();        // imagelayers
const Resource& LayersOfImageStreams();  // imagestreamlayers
const Resource& LayerUsages();

}  // namespace strata::registry
