// What the reference looks at before it reads an object.
#pragma once

#include <optional>
#include <string>

#include "server/api/error.h"
#include "server/endpoints/call.h"

namespace strata::endpoints {

// Why a GET of one object is refused whatever there is, or nothing
// (k8s.io/apiserver pkg/endpoints/handlers/get.go getResourceHandler and GetResource,
// pkg/registry/generic/registry/store.go NamespaceKeyFunc).
std::optional<api::Error> RefuseGet(const Call& call);

// The same of what a path has to name, whatever is asked for: a namespace, where objects have one,
// and an object.
std::optional<api::Error> RefuseNameless(const Call& call);

// Why a name can't be a record's, or nothing.
std::optional<api::Error> RefuseName(const std::string& name);

// The form that it is wanted in: a table too, if the resource has one.
wire::Negotiation NegotiateObject(const Call& call);

}  // namespace strata::endpoints
