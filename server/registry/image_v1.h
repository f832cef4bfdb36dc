// image.openshift.io/v1: what OpenShift's API server serves of it and this one does too.
#pragma once

#include "server/registry/resource.h"

namespace strata::registry {

const Group& ImageV1();
// The same where nothing but layers is served.
const Group& ImageV1LayersAlone();
// The same, and ImageStreamSecrets: only where it is asked for, since whoever may get those sees
// secrets by the server's own rights.
const Group& ImageV1WithSecrets();

// Its resources that other code builds for.
const Resource& ImageStreams();
const Resource& ImageStreamLayers();
const Resource& ImageStreamSecrets();
const Resource& ImageStreamStatus();
const Resource& ImageStreamTags();
const Resource& ImageStreamImages();
const Resource& ImageTags();
const Resource& Images();

}  // namespace strata::registry
