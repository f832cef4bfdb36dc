// What OpenAPI documents say of a group's paths: what may be asked there, with which parameters,
// and what comes back. In the words and forms of k8s.io/apiserver pkg/endpoints/installer.go and
// k8s.io/kube-openapi.
#pragma once

#include <map>
#include <string>

#include "server/api/openapi_schema.h"
#include "server/registry/resource.h"

namespace strata::api {

// Adds the group's paths, each as the JSON of its operations, and the schemas that they name.
void AddPaths(const registry::Group& group, SchemaSet& schemas,
              std::map<std::string, std::string>& paths);

}  // namespace strata::api
