#include "lib/codec/encode_protobuf.h"

#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

#include "lib/codec/plan.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::codec {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
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

// What `append` appends, behind its length: most are known when they are there, and short.
template <typename Append>
void AppendDelimited(int number, std::string& out, const Append& append) {
  AppendTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED, out);
  const size_t at = out.size();
  out += '\0';
  append();
  const size_t size = out.size() - at - 1;
  if (size < 0x80) {
    out[at] = static_cast<char>(size);
    return;
  }
  std::string length;
  AppendVarint(size, length);
  out.replace(at, 1, length);
}

void AppendMessage(const Message& message, const Plan& plan, std::string& out);

void AppendNumber(int number, int64_t value, std::string& out) {
  AppendTag(number, WireFormatLite::WIRETYPE_VARINT, out);
  AppendVarint(static_cast<uint64_t>(value), out);
}

void AppendField(const Message& message, const FieldPlan& plan, std::string& out) {
  const auto* reflection = plan.reflection;
  const FieldDescriptor* field = plan.field;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      return AppendBytes(field->number(), reflection->GetStringReference(message, field, &scratch),
                         out);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return AppendDelimited(field->number(), out, [&] {
        AppendMessage(reflection->GetMessage(message, field), *plan.inner, out);
      });
    case FieldDescriptor::CPPTYPE_INT64:
      return AppendNumber(field->number(), reflection->GetInt64(message, field), out);
    case FieldDescriptor::CPPTYPE_INT32:
      return AppendNumber(field->number(), reflection->GetInt32(message, field), out);
    default:
      return AppendNumber(field->number(), reflection->GetBool(message, field) ? 1 : 0, out);
  }
}

// Of numbers our .proto files have no lists.
void AppendList(const Message& message, const FieldPlan& plan, std::string& out) {
  const int size = plan.reflection->FieldSize(message, plan.field);
  for (int i = 0; i < size; ++i) {
    if (plan.inner == nullptr) {
      std::string scratch;
      AppendBytes(plan.field->number(),
                  plan.reflection->GetRepeatedStringReference(message, plan.field, i, &scratch),
                  out);
      continue;
    }
    AppendDelimited(plan.field->number(), out, [&] {
      AppendMessage(plan.reflection->GetRepeatedMessage(message, plan.field, i), *plan.inner, out);
    });
  }
}

void AppendMap(const Message& message, const FieldPlan& plan, std::string& out) {
  for (const Message* entry : SortedEntries(message, plan)) {
    AppendDelimited(plan.field->number(), out, [&] {
      AppendField(*entry, plan.inner->protobuf.front(), out);
      AppendField(*entry, plan.inner->protobuf.back(), out);
    });
  }
}

// Both members or none.
template <typename Time>
void AppendTime(const Time& time, int32_t nanos, std::string& out) {
  if (IsZeroTime(time)) return;
  AppendNumber(1, time.seconds(), out);
  AppendNumber(2, nanos, out);
}

// A Go slice of bytes is a pointer in all but name: nil is absent.
bool IsAbsent(const Message& message, const FieldPlan& plan) {
  if (!plan.pointer && plan.field->type() != FieldDescriptor::TYPE_BYTES) return false;
  return !plan.reflection->HasField(message, plan.field);
}

void AppendMessage(const Message& message, const Plan& plan, std::string& out) {
  // A Time has whole seconds, whatever was stored.
  if (plan.form == json::TIME) return AppendTime(static_cast<const meta::Time&>(message), 0, out);
  if (plan.form == json::MICRO_TIME) {
    const auto& time = static_cast<const meta::MicroTime&>(message);
    return AppendTime(time, time.nanos(), out);
  }
  for (const FieldPlan& field : plan.protobuf) {
    if (field.field->is_map()) {
      AppendMap(message, field, out);
    } else if (field.field->is_repeated()) {
      AppendList(message, field, out);
    } else if (!IsAbsent(message, field)) {
      AppendField(message, field, out);
    }
  }
}

}  // namespace

void AppendProtobuf(const Message& message, std::string& out) {
  AppendMessage(message, PlanOf(message.GetDescriptor()), out);
}

void AppendProtobufField(int number, const Message& message, std::string& out) {
  AppendDelimited(number, out, [&] { AppendProtobuf(message, out); });
}

}  // namespace strata::codec
