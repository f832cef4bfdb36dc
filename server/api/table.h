// Objects as a metav1.Table, for people (k8s.io/apiserver pkg/endpoints/handlers/response.go
// asTable).
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/error.h"
#include "server/registry/resource.h"

namespace strata::api {

// What `?includeObject` has stand in a row beside its cells.
enum class RowObject { kNone, kMetadata, kObject };
// Nothing: it asks for something else.
std::optional<RowObject> ParseRowObject(std::string_view include);
Error InvalidRowObject(std::string_view include);

// What is left of an object without the rest; it has metadata.
::k8s::io::apimachinery::pkg::apis::meta::v1::PartialObjectMetadata PartialOf(
    const google::protobuf::Message& object);

// The table of one object, as compact JSON without a line feed. The resource has a table, and the
// object metadata.
std::string TableOf(const registry::Resource& resource, const google::protobuf::Message& object,
                    RowObject include, base::WallTime now);

}  // namespace strata::api
