#include "server/api/table.h"

#include <fmt/format.h>

#include <variant>

#include "lib/codec/encode_json.h"
#include "lib/codec/json_writer.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/quote.h"

namespace strata::api {
namespace {

using codec::JsonWriter;

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

const meta::ObjectMeta& MetadataOf(const google::protobuf::Message& object) {
  const auto* field = object.GetDescriptor()->FindFieldByName("metadata");
  return static_cast<const meta::ObjectMeta&>(object.GetReflection()->GetMessage(object, field));
}

void WriteColumns(const registry::Table& table, JsonWriter& json) {
  json.OpenList<"columnDefinitions">();
  for (const registry::Column& column : table.columns) {
    json.OpenObject();
    json.Name<"name">(), json.String(column.name);
    json.Name<"type">(), json.String(column.type);
    json.Name<"format">(), json.String(column.format);
    json.Name<"description">(), json.String(column.description);
    json.Name<"priority">(), json.Number(column.priority);
    json.CloseObject();
  }
  json.CloseList();
}

void WriteCells(const image::Cells& cells, JsonWriter& json) {
  json.OpenList<"cells">();
  for (const image::Cell& cell : cells) {
    if (const auto* text = std::get_if<std::string>(&cell)) {
      json.String(*text);
    } else if (const auto* number = std::get_if<int64_t>(&cell)) {
      json.Number(*number);
    } else {
      json.Value() += "null";
    }
  }
  json.CloseList();
}

void WriteRow(const registry::Resource& resource, const google::protobuf::Message& object,
              RowObject include, base::WallTime now, JsonWriter& json) {
  json.OpenObject();
  WriteCells(resource.table->cells(object, now), json);
  json.Name<"object">();
  std::string& value = json.Value();
  switch (include) {
    case RowObject::kObject:
      codec::AppendJson(object, resource.type_meta(), value);
      break;
    case RowObject::kMetadata:
      codec::AppendJson(PartialOf(object), {"PartialObjectMetadata", "meta.k8s.io/v1"}, value);
      break;
    case RowObject::kNone:
      value += "null";
  }
  json.CloseObject();
}

}  // namespace

meta::PartialObjectMetadata PartialOf(const google::protobuf::Message& object) {
  meta::PartialObjectMetadata partial;
  *partial.mutable_metadata() = MetadataOf(object);
  return partial;
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
  std::string out;
  JsonWriter json(out);
  json.OpenObject();
  json.PlainString<"kind">("Table");
  json.PlainString<"apiVersion">("meta.k8s.io/v1");
  json.OpenObject<"metadata">();
  if (const std::string& revision = MetadataOf(object).resource_version(); !revision.empty())
    json.Name<"resourceVersion">(), json.String(revision);
  json.CloseObject();
  WriteColumns(*resource.table, json);
  json.OpenList<"rows">();
  WriteRow(resource, object, include, now, json);
  json.CloseList();
  json.CloseObject();
  return out;
}

}  // namespace strata::api
