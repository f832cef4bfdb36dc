#include "server/api/openapi_schema.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/codec/json_text.h"
#include "lib/codec/plan.h"
#include "server/api/proto_comments.h"

namespace strata::api {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr const char* kApiVersion =
    "APIVersion defines the versioned schema of this representation of an object. Servers should "
    "convert recognized schemas to the latest internal value, and may reject unrecognized values. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/"
    "api-conventions.md#resources";
constexpr const char* kKind =
    "Kind is a string value representing the REST resource this object represents. Servers may "
    "infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/"
    "api-conventions.md#types-kinds";

// kube-openapi's ToRESTFriendlyName: github.com.openshift… is com.github.openshift….
std::string NameOf(const Descriptor* type) {
  const std::string& full = type->full_name();
  const size_t first = full.find('.'), second = full.find('.', first + 1);
  return full.substr(first + 1, second - first - 1) + "." + full.substr(0, first) +
         full.substr(second);
}

// A comment's lines as one text; empty lines part paragraphs.
std::string Joined(std::string_view comment) {
  std::string text;
  bool paragraph = false;
  while (!comment.empty()) {
    const size_t end = std::min(comment.find('\n'), comment.size());
    std::string_view line = comment.substr(0, end);
    comment.remove_prefix(std::min(end + 1, comment.size()));
    while (line.starts_with(' ')) line.remove_prefix(1);
    if (line.empty()) {
      paragraph = true;
      continue;
    }
    if (!text.empty()) text += paragraph ? "\n\n" : " ";
    paragraph = false;
    text += line;
  }
  return text;
}

std::string Scalar(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return R"("type":"boolean")";
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32:
      return R"("type":"integer","format":"int32")";
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      return R"("type":"integer","format":"int64")";
    default:
      return field->type() == FieldDescriptor::TYPE_BYTES ? R"("type":"string","format":"byte")"
                                                          : R"("type":"string")";
  }
}

std::string Named(std::string_view name, const std::string& description) {
  return fmt::format(R"("{}":{{"description":{},"type":"string"}})", name, JsonString(description));
}

// Whether it is one in its own right, wherever it stands: it has a name, and may say its kind.
bool IsObject(const Descriptor* type) {
  const google::protobuf::FieldDescriptor* metadata = type->FindFieldByName("metadata");
  return metadata != nullptr && metadata->message_type() != nullptr &&
         metadata->message_type()->name() == "ObjectMeta";
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string quoted;
  codec::AppendJsonString(text, quoted);
  return quoted;
}

std::string JsonObject(const JsonMembers& members) {
  std::string json = "{";
  for (const auto& [name, value] : members) {
    if (value.empty()) continue;
    if (json.size() > 1) json += ',';
    json += JsonString(name) + ":" + value;
  }
  return json + "}";
}

struct SchemaSet::Comments {
  Comments() {
    google::protobuf::FileDescriptorSet files;
    files.ParseFromArray(kProtoComments.data(), static_cast<int>(kProtoComments.size()));
    for (const auto& file : files.file()) pool.BuildFile(file);
  }
  google::protobuf::DescriptorPool pool;
};

SchemaSet::SchemaSet(Version version)
    : version_(version), comments_(std::make_unique<const Comments>()) {}

SchemaSet::~SchemaSet() = default;

std::string SchemaSet::Description(const std::string& element) const {
  google::protobuf::SourceLocation location;
  bool found = false;
  if (const Descriptor* type = comments_->pool.FindMessageTypeByName(element)) {
    found = type->GetSourceLocation(&location);
  } else if (const FieldDescriptor* field = comments_->pool.FindFieldByName(element)) {
    found = field->GetSourceLocation(&location);
  }
  return found ? Joined(location.leading_comments) : std::string();
}

std::string SchemaSet::Reference(const Descriptor* type) const {
  return fmt::format(R"("$ref":"#/{}/{}")",
                     version_ == Version::kV2 ? "definitions" : "components/schemas", NameOf(type));
}

std::string SchemaSet::Value(const FieldDescriptor* field, bool element) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return Scalar(field);
  const Descriptor* type = field->message_type();
  if (codec::PlanOf(type).form == strata::json::STRINGS)
    return R"("type":"array","items":{"type":"string"})";
  Add(type);
  // Beside a $ref version 3 ignores what else there is.
  if (element || version_ == Version::kV2) return Reference(type);
  return fmt::format(R"("allOf":[{{{}}}])", Reference(type));
}

std::string SchemaSet::Property(const FieldDescriptor* field) {
  const std::string description = Description(field->full_name());
  std::string json = "{";
  if (!description.empty()) json += R"("description":)" + JsonString(description) + ",";
  if (field->is_map()) {
    const std::string value = Value(field->message_type()->map_value(), true);
    return json + fmt::format(R"("type":"object","additionalProperties":{{{}}}}})", value);
  }
  if (field->is_repeated())
    return json + fmt::format(R"("type":"array","items":{{{}}}}})", Value(field, true));
  return json + Value(field, false) + "}";
}

void SchemaSet::Add(const Descriptor* type, std::string_view group, std::string_view version,
                    std::string_view kind) {
  const auto [at, is_new] = schemas_.try_emplace(NameOf(type));
  if (!is_new) return;  // also where a type leads back to itself
  const codec::Plan& plan = codec::PlanOf(type);
  const std::string description = Description(type->full_name());
  const std::string described = description.empty() ? "" : JsonString(description);
  switch (plan.form) {
    case strata::json::TIME:
    case strata::json::MICRO_TIME:
      at->second = JsonObject(
          {{"description", described}, {"type", R"("string")"}, {"format", R"("date-time")"}});
      return;
    case strata::json::RAW:
      at->second = JsonObject({{"description", described}, {"type", R"("object")"}});
      return;
    default:
      break;
  }
  std::map<std::string, std::string> properties;
  std::string required;
  for (const codec::FieldPlan& field : plan.json) {
    const bool needed = (field.always || field.empty_object) && !field.pointer;
    properties[field.name] = Property(field.field);
    if (needed) required += (required.empty() ? "" : ",") + JsonString(field.name);
  }
  std::string members;
  if (!kind.empty() || IsObject(type))
    members = Named("apiVersion", kApiVersion) + "," + Named("kind", kKind);
  for (const auto& [name, schema] : properties)
    members += (members.empty() ? "" : ",") + JsonString(name) + ":" + schema;
  std::string kinds;
  if (!kind.empty()) {
    kinds = fmt::format(R"([{{"group":"{}","kind":"{}","version":"{}"}}])", group, kind, version);
  }
  schemas_[NameOf(type)] = JsonObject({{"description", described},
                                       {"type", R"("object")"},
                                       {"required", required.empty() ? "" : "[" + required + "]"},
                                       {"properties", members.empty() ? "" : "{" + members + "}"},
                                       {"x-kubernetes-group-version-kind", kinds}});
}

std::string SchemaSet::Json() const {
  std::string json = "{";
  for (const auto& [name, schema] : schemas_) {
    if (json.size() > 1) json += ',';
    json += JsonString(name) + ":" + schema;
  }
  return json + "}";
}

}  // namespace strata::api
