// What the reference looks at before it reads an object.
#pragma once

#include <optional>

#include "server/api/error.h"
#include "server/endpoints/call.h"

namespace strata::endpoints {

// Why a GET of one namespaced object is refused whatever there is, or nothing
// (k8s.io/apiserver pkg/endpoints/handlers/get.go getResourceHandler and GetResource,
// pkg/registry/generic/registry/store.go NamespaceKeyFunc).
std::optional<api::Error> RefuseGet(const Call& call);

}  // namespace strata::endpoints
