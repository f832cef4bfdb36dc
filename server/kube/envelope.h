// Kubernetes protobuf: `k8s\0` and a runtime.Unknown around the object.
#pragma once

#include <string_view>

#include "proto/k8s/runtime.pb.h"

namespace strata::kube {

// False if it is something else.
bool OpenEnvelope(std::string_view bytes, k8s::io::apimachinery::pkg::runtime::Unknown& unknown);

}  // namespace strata::kube
