#include "server/api/table.h"

#include <fmt/format.h>

#include <variant>

#include "lib/codec/encode_json.h"
#include "lib/codec/json_text.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/quote.h"

namespace strata::api {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

void AppendMember(std::string_view name, std::string_view text, std::string& out) {
  codec::AppendJsonString(name, out);
  out += ':';
  codec::AppendJsonString(text, out);
}

void AppendColumns(const registry::Table& table, std::string& out) {
  out += "[";
  for (const registry::Column& column : table.columns) {
    if (out.back() != '[') out += ',';
    out += '{';
    AppendMember("name", column.name, out);
    out += ',';
    AppendMember("type", column.type, out);
    out += ',';
    AppendMember("format", column.format, out);
    out += ',';
    AppendMember("description", column.description, out);
    out += fmt::format(R"(,"priority":{}}})", column.priority);
  }
  out += ']';
}

void AppendCells(const image::Cells& cells, std::string& out) {
  out += '[';
  for (const image::Cell& cell : cells) {
    if (out.back() != '[') out += ',';
    if (const auto* text = std::get_if<std::string>(&cell)) {
      codec::AppendJsonString(*text, out);
    } else if (const auto* number = std::get_if<int64_t>(&cell)) {
      out += std::to_string(*number);
    } else {
      out += "null";
    }
  }
  out += ']';
}

void AppendRow(const registry::Resource& resource, const google::protobuf::Message& object,
               RowObject include, base::WallTime now, std::string& out) {
  out += R"({"cells":)";
  AppendCells(resource.table->cells(object, now), out);
  if (include == RowObject::kObject) {
    out += R"(,"object":)";
    codec::AppendJson(object, resource.type_meta(), out);
  } else if (include == RowObject::kMetadata) {
    meta::PartialObjectMetadata partial;
    *partial.mutable_metadata() = MetadataOf(object);
    out += R"(,"object":)";
    codec::AppendJson(partial, {"PartialObjectMetadata", "meta.k8s.io/v1"}, out);
  } else {
    out += R"(,"object":null)";
  }
  out += '}';
}

}  // namespace

const meta::ObjectMeta& MetadataOf(const google::protobuf::Message& object) {
  const auto* field = object.GetDescriptor()->FindFieldByName("metadata");
  return static_cast<const meta::ObjectMeta&>(object.GetReflection()->GetMessage(object, field));
}

std::optional<RowObject> ParseRowObject(std::string_view include) {
  if (include.empty() || include == "Metadata") return RowObject::kMetadata;
  if (include == "Object") return RowObject::kObject;
  if (include == "None") return RowObject::kNone;
  return std::nullopt;
}

Error InvalidRowObject(std::string_view include) {
  return BadRequest(fmt::format(
      "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be "
      "'Metadata', 'Object', 'None', or empty",
      Quote(include)));
}

std::string TableOf(const registry::Resource& resource, const google::protobuf::Message& object,
                    RowObject include, base::WallTime now) {
  std::string out = R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{)";
  const std::string& revision = MetadataOf(object).resource_version();
  if (!revision.empty()) AppendMember("resourceVersion", revision, out);
  out += R"(},"columnDefinitions":)";
  AppendColumns(*resource.table, out);
  out += R"(,"rows":[)";
  AppendRow(resource, object, include, now, out);
  out += "]}";
  return out;
}

}  // namespace strata::api
