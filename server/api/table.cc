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

}  // namespace

void AppendRow(const registry::Resource& resource, const google::protobuf::Message& object,
               RowObject include, base::WallTime now, std::string& out,
               std::string_view api_version) {
  JsonWriter json(out);
  json.OpenObject();
  WriteCells(resource.table->cells(object, now), json);
  json.Name<"object">();
  std::string& value = json.Value();
  switch (include) {
    case RowObject::kObject:
      codec::AppendJson(object, resource.type_meta(), value);
      break;
    case RowObject::kMetadata:
      codec::AppendJson(PartialOf(object), {"PartialObjectMetadata", api_version}, value);
      break;
    case RowObject::kNone:
      value += "null";
  }
  json.CloseObject();
}

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

std::string TableStart(const registry::Resource& resource, const meta::ListMeta& metadata,
                       bool columns, std::string_view api_version) {
  std::string out;
  JsonWriter json(out);
  json.OpenObject();
  json.PlainString<"kind">("Table");
  json.PlainString<"apiVersion">(api_version);
  json.Name<"metadata">();
  codec::AppendJson(metadata, {}, json.Value());
  if (columns) {
    WriteColumns(*resource.table, json);
  } else {
    json.Name<"columnDefinitions">(), json.Value() += "null";
  }
  json.OpenList<"rows">();
  return out;
}

std::string TableOf(const registry::Resource& resource, const google::protobuf::Message& object,
                    RowObject include, base::WallTime now, bool columns,
                    std::string_view api_version) {
  meta::ListMeta metadata;
  if (const std::string& revision = MetadataOf(object).resource_version(); !revision.empty())
    metadata.set_resource_version(revision);
  std::string out = TableStart(resource, metadata, columns, api_version);
  AppendRow(resource, object, include, now, out, api_version);
  return out.append(kTableEnd);
}

}  // namespace strata::api
