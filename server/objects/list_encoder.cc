#include "server/objects/list_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "lib/codec/json_text.h"
#include "lib/codec/json_writer.h"
#include "lib/codec/yaml.h"
#include "server/wire/encode.h"

namespace strata::objects {
namespace {

using wire::MediaType;

// The lines of `text`, each behind `indent`.
void AppendIndented(std::string_view text, std::string_view indent, std::string& out) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    out += indent;
    out += text.substr(at, end - at);
    at = end;
  }
}

// As it stands in a list: where its lines are folded depends on how far they are indented.
void AppendYamlItem(std::string_view json, std::string& out) {
  constexpr std::string_view kList = "items:\n";
  out += codec::JsonToYaml(fmt::format(R"({{"items":[{}]}})", json)).substr(kList.size());
}

// Around the list that a whole text has, empty, behind `name`.
ListEncoder::Frame Split(std::string_view text, std::string_view name, std::string_view open,
                         std::string_view close) {
  const size_t at = text.rfind(name);
  return {std::string(text.substr(0, at)).append(open),
          std::string(close).append(text.substr(at + name.size()))};
}

}  // namespace

ListEncoder::ListEncoder(const registry::Resource& resource, const ListForm& form,
                         base::WallTime now)
    : resource_(resource),
      form_(form),
      now_(now),
      meta_version_(form.representation.beta ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1") {}

codec::TypeMeta ListEncoder::type() const {
  if (is_metadata()) return {"PartialObjectMetadataList", meta_version_};
  return {resource_.list_kind, resource_.group->group_version()};
}

// Compact JSON up to the items.
std::string ListEncoder::ShellStart(const meta::ListMeta& metadata) const {
  if (is_table()) return api::TableStart(resource_, metadata, /*columns=*/true, meta_version_);
  std::string out;
  codec::JsonWriter json(out);
  json.OpenObject();
  json.PlainString<"kind">(type().kind);
  json.PlainString<"apiVersion">(type().api_version);
  json.Name<"metadata">();
  codec::AppendJson(metadata, {}, json.Value());
  json.OpenList<"items">();
  return out;
}

ListEncoder::Frame ListEncoder::Around(const meta::ListMeta& metadata, size_t item_bytes) const {
  const wire::Representation& form = form_.representation;
  if (form.type == MediaType::kProtobuf) return AroundProtobuf(metadata, item_bytes);
  std::string start = ShellStart(metadata);
  if (item_bytes == 0 && is_metadata()) {  // Go's nil slice
    start.pop_back();
    return {wire::EncodeText(start.append("null}"), form), ""};
  }
  if (item_bytes == 0 || (form.type == MediaType::kJson && !form.pretty)) {
    Frame frame{std::move(start), "]}\n"};
    if (item_bytes != 0) return frame;
    return {wire::EncodeText(frame.head + "]}", form), ""};
  }
  const std::string_view name = is_table() ? "rows" : "items";
  const std::string whole = wire::EncodeText(start + "]}", form);
  if (form.type == MediaType::kYaml)
    return Split(whole, std::string(name) + ": []\n", std::string(name) + ":\n", "");
  return Split(whole, "[]", "[\n", "\n  ]");
}

ListEncoder::Frame ListEncoder::AroundProtobuf(const meta::ListMeta& metadata,
                                               size_t item_bytes) const {
  std::string list;
  codec::AppendProtobufField(1, metadata, list);
  Frame frame{"", std::string(wire::kEnvelopeTail)};
  wire::AppendEnvelopeHead(type(), list.size() + item_bytes, frame.head);
  frame.head += list;
  return frame;
}

void ListEncoder::AppendJsonItem(const google::protobuf::Message& object, std::string& out) const {
  if (is_table()) {
    api::AppendRow(resource_, object, form_.include, now_, out, meta_version_);
  } else if (is_metadata()) {
    codec::AppendJson(api::PartialOf(object), {"PartialObjectMetadata", meta_version_}, out);
  } else {
    codec::AppendJson(object, {}, out);
  }
}

void ListEncoder::Append(const google::protobuf::Message& object, bool first,
                         std::string& out) const {
  const wire::Representation& form = form_.representation;
  if (form.type == MediaType::kProtobuf) {
    if (is_metadata()) return codec::AppendProtobufField(2, api::PartialOf(object), out);
    return codec::AppendProtobufField(2, object, out);
  }
  const bool plain = form.type == MediaType::kJson && !form.pretty;
  if (plain && !first) out += ',';
  if (plain) return AppendJsonItem(object, out);
  std::string json;
  AppendJsonItem(object, json);
  if (form.type == MediaType::kYaml) return AppendYamlItem(json, out);
  if (!first) out += ",\n";
  AppendIndented(codec::Indent(json), "    ", out);
}

}  // namespace strata::objects
