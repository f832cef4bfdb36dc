#include "lib/codec/encode_protobuf.h"

#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

#include "lib/codec/plan.h"

namespace strata::codec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::internal::WireFormatLite;

void AppendVarint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void AppendTag(int number, WireFormatLite::WireType type, std::string& out) {
  AppendVarint(static_cast<uint64_t>(number) << 3 | static_cast<uint64_t>(type), out);
}

void AppendBytes(int number, const std::string& bytes, std::string& out) {
  AppendTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED, out);
  AppendVarint(bytes.size(), out);
  out += bytes;
}

void AppendScalar(const Message& message, const FieldDescriptor* field, int index,
                  std::string& out) {
  const auto* reflection = message.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      AppendBytes(field->number(),
                  repeated ? reflection->GetRepeatedStringReference(message, field, index, &scratch)
                           : reflection->GetStringReference(message, field, &scratch),
                  out);
      return;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      AppendBytes(field->number(),
                  EncodeProtobuf(repeated ? reflection->GetRepeatedMessage(message, field, index)
                                          : reflection->GetMessage(message, field)),
                  out);
      return;
    default:
      break;
  }
  AppendTag(field->number(), WireFormatLite::WIRETYPE_VARINT, out);
  int64_t value = 0;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    value = repeated ? reflection->GetRepeatedInt64(message, field, index)
                     : reflection->GetInt64(message, field);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    value = repeated ? reflection->GetRepeatedInt32(message, field, index)
                     : reflection->GetInt32(message, field);
  } else {
    value = repeated ? reflection->GetRepeatedBool(message, field, index)
                     : reflection->GetBool(message, field);
  }
  AppendVarint(static_cast<uint64_t>(value), out);
}

void AppendMap(const Message& message, const FieldDescriptor* field, std::string& out) {
  for (const Message* entry : SortedEntries(message, field)) {
    std::string bytes;
    AppendScalar(*entry, field->message_type()->map_key(), 0, bytes);
    AppendScalar(*entry, field->message_type()->map_value(), 0, bytes);
    AppendBytes(field->number(), bytes, out);
  }
}

// A Go slice of bytes is a pointer in all but name: nil is absent. A Time writes both members or
// none.
bool IsAbsent(const Message& message, const FieldPlan& plan, json::Form form) {
  if (form == json::TIME || form == json::MICRO_TIME) return IsZeroTime(message);
  if (message.GetReflection()->HasField(message, plan.field)) return false;
  return plan.pointer || plan.field->type() == FieldDescriptor::TYPE_BYTES;
}

}  // namespace

void AppendProtobuf(const Message& message, std::string& out) {
  const Plan& plan = PlanOf(message.GetDescriptor());
  for (const FieldPlan& field : plan.protobuf) {
    if (field.field->is_map()) {
      AppendMap(message, field.field, out);
    } else if (field.field->is_repeated()) {
      const int size = message.GetReflection()->FieldSize(message, field.field);
      for (int i = 0; i < size; ++i) AppendScalar(message, field.field, i, out);
    } else if (IsAbsent(message, field, plan.form)) {
      continue;
    } else if (plan.form == json::TIME && field.field->number() == 2) {
      AppendTag(2, WireFormatLite::WIRETYPE_VARINT, out);
      AppendVarint(0, out);  // a Time has whole seconds, whatever was stored
    } else {
      AppendScalar(message, field.field, 0, out);
    }
  }
}

}  // namespace strata::codec
