#include "server/objects/kind.h"

#include <algorithm>
#include <utility>

#include "lib/codec/plan.h"

namespace strata::objects {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* MetadataField(const Message& object) {
  return object.GetDescriptor()->FindFieldByName("metadata");
}

meta::ObjectMeta& MutableMetadata(Message& object) {
  return static_cast<meta::ObjectMeta&>(
      *object.GetReflection()->MutableMessage(&object, MetadataField(object)));
}

void ReadFieldsOf(const registry::Resource& resource, Object& object) {
  object.fields.clear();
  object.fields.reserve(resource.selectable_fields.size());
  for (const std::string& field : resource.selectable_fields)
    object.fields.push_back(FieldAt(*object.message, field));
}

}  // namespace

const meta::ObjectMeta& Object::metadata() const {
  return static_cast<const meta::ObjectMeta&>(
      message->GetReflection()->GetMessage(*message, MetadataField(*message)));
}

meta::ObjectMeta& Object::mutable_metadata() {
  return MutableMetadata(*message);
}

std::string FieldAt(const Message& object, std::string_view path) {
  const size_t dot = std::min(path.find('.'), path.size());
  const auto& fields = codec::PlanOf(object.GetDescriptor()).by_name;
  const auto found = fields.find(path.substr(0, dot));
  if (found == fields.end() || found->second->inside != nullptr) return "";
  const FieldDescriptor* field = found->second->field;
  if (field->is_repeated()) return "";
  if (dot == path.size()) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return "";
    return object.GetReflection()->GetString(object, field);
  }
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return "";
  return FieldAt(object.GetReflection()->GetMessage(object, field), path.substr(dot + 1));
}

Object ObjectOf(const registry::Resource& resource, std::unique_ptr<Message> message) {
  Object object{std::move(message), {}};
  ReadFieldsOf(resource, object);
  return object;
}

std::optional<Object> Kind::Parse(const records::Change& change) const {
  Object object;
  if (!ParseInto(change, object)) return std::nullopt;
  ReadFields(object);
  return object;
}

bool Kind::ParseInto(const records::Change& change, Object& object) const {
  if (change.state != records::Change::State::kPresent) return false;
  if (object.message == nullptr) object.message.reset(prototype.New());
  return object.message->ParseFromString(change.object);
}

void Kind::ReadFields(Object& object) const {
  ReadFieldsOf(resource, object);
}

bool Kind::Present(base::Revision revision, Object& object) const {
  return present(revision, *object.message).ok();
}

std::unique_ptr<Message> Kind::Bookmark(base::Revision revision, bool ends_initial_events) const {
  std::unique_ptr<Message> object(prototype.New());
  present(revision, *object).IgnoreError();
  if (decorate_bookmark != nullptr) decorate_bookmark(*object);
  if (ends_initial_events) {
    (*MutableMetadata(*object).mutable_annotations())["k8s.io/initial-events-end"] = "true";
  }
  return object;
}

}  // namespace strata::objects
