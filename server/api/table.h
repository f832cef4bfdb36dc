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

// A table of the resource, which has one, as compact JSON in pieces: its beginning up to its rows,
// rows with commas between them, and kTableEnd. Without columns they are null: what a watch sends
// after its first table.
std::string TableStart(const registry::Resource& resource,
                       const ::k8s::io::apimachinery::pkg::apis::meta::v1::ListMeta& metadata,
                       bool columns, std::string_view api_version = "meta.k8s.io/v1");
// The object has metadata.
void AppendRow(const registry::Resource& resource, const google::protobuf::Message& object,
               RowObject include, base::WallTime now, std::string& out,
               std::string_view api_version = "meta.k8s.io/v1");
inline constexpr std::string_view kTableEnd = "]}";

// The whole table of one object, without a line feed.
std::string TableOf(const registry::Resource& resource, const google::protobuf::Message& object,
                    RowObject include, base::WallTime now, bool columns = true,
                    std::string_view api_version = "meta.k8s.io/v1");

}  // namespace strata::api
