#include "lib/codec/encode_json.h"

#include <fmt/format.h>
#include <google/protobuf/reflection.h>

#include <algorithm>

#include "lib/base/bytes.h"
#include "lib/codec/json_text.h"
#include "lib/codec/plan.h"
#include "lib/codec/time.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::codec {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Plans are handed down, and not looked up: what a field costs is what its reflection costs.

void AppendObject(const Message& message, const Plan& plan, const TypeMeta& type, std::string& out);

void AppendTime(const meta::Time& time, std::string& out) {
  if (IsZeroTime(time)) {
    out += "null";
    return;
  }
  out += '"';
  AppendDateTime(time.seconds(), out);
  out += "Z\"";
}

void AppendMicroTime(const meta::MicroTime& time, std::string& out) {
  if (IsZeroTime(time)) {
    out += "null";
    return;
  }
  out += fmt::format("\"{}.{:06}Z\"", FormatDateTime(time.seconds()),
                     std::clamp(time.nanos(), 0, 999'999'999) / 1000);
}

void AppendForm(const Message& message, const Plan& plan, std::string& out) {
  const FieldPlan* const first = plan.protobuf.empty() ? nullptr : &plan.protobuf.front();
  switch (plan.form) {
    case json::TIME:
      return AppendTime(static_cast<const meta::Time&>(message), out);
    case json::MICRO_TIME:
      return AppendMicroTime(static_cast<const meta::MicroTime&>(message), out);
    case json::RAW: {
      // What isn't JSON can't be printed among JSON; Go fails the whole object there.
      std::string scratch;
      const std::string& raw = plan.reflection->GetStringReference(message, first->field, &scratch);
      if (raw.empty() || !AppendCompact(raw, out)) out += "null";
      return;
    }
    case json::STRINGS: {
      out += '[';
      for (int i = 0; i < plan.reflection->FieldSize(message, first->field); ++i) {
        if (i > 0) out += ',';
        AppendJsonString(plan.reflection->GetRepeatedString(message, first->field, i), out);
      }
      out += ']';
      return;
    }
    case json::OBJECT:
      return AppendObject(message, plan, {}, out);
  }
}

void AppendNumber(int64_t number, std::string& out) {
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

void AppendText(const std::string& text, const FieldDescriptor* field, std::string& out) {
  if (field->type() == FieldDescriptor::TYPE_BYTES) {
    out += '"' + base::ToBase64(text) + '"';
  } else {
    AppendJsonString(text, out);
  }
}

// Of a field that isn't a message.
void AppendScalar(const Message& message, const FieldPlan& plan, std::string& out) {
  const auto* reflection = plan.reflection;
  switch (plan.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      return AppendText(reflection->GetStringReference(message, plan.field, &scratch), plan.field,
                        out);
    }
    case FieldDescriptor::CPPTYPE_INT64:
      return AppendNumber(reflection->GetInt64(message, plan.field), out);
    case FieldDescriptor::CPPTYPE_INT32:
      return AppendNumber(reflection->GetInt32(message, plan.field), out);
    case FieldDescriptor::CPPTYPE_BOOL:
      out += reflection->GetBool(message, plan.field) ? "true" : "false";
      return;
    default:
      GOOGLE_LOG(FATAL) << "a type that our .proto files don't use: " << plan.field->full_name();
  }
}

// Of numbers our .proto files have no lists.
void AppendElement(const Message& message, const FieldPlan& plan, int index, std::string& out) {
  if (plan.inner != nullptr) {
    AppendForm(plan.reflection->GetRepeatedMessage(message, plan.field, index), *plan.inner, out);
    return;
  }
  std::string scratch;
  AppendText(plan.reflection->GetRepeatedStringReference(message, plan.field, index, &scratch),
             plan.field, out);
}

void AppendList(const Message& message, const FieldPlan& plan, std::string& out) {
  out += '[';
  const int size = plan.reflection->FieldSize(message, plan.field);
  for (int i = 0; i < size; ++i) {
    if (i > 0) out += ',';
    AppendElement(message, plan, i, out);
  }
  out += ']';
}

void AppendMap(const Message& message, const FieldPlan& plan, std::string& out) {
  const FieldPlan& key = plan.inner->protobuf.front();
  const FieldPlan& value = plan.inner->protobuf.back();
  out += '{';
  bool first = true;
  for (const Message* entry : SortedEntries(message, plan)) {
    if (!first) out += ',';
    first = false;
    AppendScalar(*entry, key, out);
    out += ':';
    if (value.inner != nullptr) {
      AppendForm(value.reflection->GetMessage(*entry, value.field), *value.inner, out);
    } else {
      AppendScalar(*entry, value, out);
    }
  }
  out += '}';
}

// Go's omitempty, and what is printed where it isn't asked for.
enum class Print { kOmit, kNull, kValue };

Print WhatToPrint(const Message& message, const FieldPlan& plan) {
  const auto* reflection = plan.reflection;
  const FieldDescriptor* field = plan.field;
  const Print empty = plan.always ? Print::kNull : Print::kOmit;
  if (field->is_repeated()) {
    return reflection->FieldSize(message, field) > 0 || plan.empty_object ? Print::kValue : empty;
  }
  if (plan.pointer) return reflection->HasField(message, field) ? Print::kValue : empty;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      if (!plan.omit_zero) return Print::kValue;
      const Message& time = reflection->GetMessage(message, field);
      const bool is_zero = plan.inner->form == json::MICRO_TIME
                               ? IsZeroTime(static_cast<const meta::MicroTime&>(time))
                               : IsZeroTime(static_cast<const meta::Time&>(time));
      return is_zero ? Print::kOmit : Print::kValue;
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      if (!reflection->GetStringReference(message, field, &scratch).empty()) return Print::kValue;
      if (field->type() == FieldDescriptor::TYPE_BYTES) return empty;
      break;
    }
    case FieldDescriptor::CPPTYPE_INT64:
      if (reflection->GetInt64(message, field) != 0) return Print::kValue;
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      if (reflection->GetInt32(message, field) != 0) return Print::kValue;
      break;
    default:
      if (reflection->GetBool(message, field)) return Print::kValue;
  }
  return plan.always ? Print::kValue : Print::kOmit;
}

void AppendValue(const Message& message, const FieldPlan& plan, std::string& out) {
  if (plan.field->is_map()) return AppendMap(message, plan, out);
  if (plan.field->is_repeated()) return AppendList(message, plan, out);
  if (plan.inner == nullptr) return AppendScalar(message, plan, out);
  AppendForm(plan.reflection->GetMessage(message, plan.field), *plan.inner, out);
}

void AppendObject(const Message& message, const Plan& plan, const TypeMeta& type,
                  std::string& out) {
  out += '{';
  const size_t start = out.size();
  const auto next = [&](std::string_view key) {
    if (out.size() > start) out += ',';
    out += key;
  };
  if (!type.kind.empty()) {
    next("\"kind\":");
    AppendJsonString(type.kind, out);
  }
  if (!type.api_version.empty()) {
    next("\"apiVersion\":");
    AppendJsonString(type.api_version, out);
  }
  for (const FieldPlan& field : plan.json) {
    const Message& owner =
        field.inside == nullptr ? message : plan.reflection->GetMessage(message, field.inside);
    const Print print = WhatToPrint(owner, field);
    if (print == Print::kOmit) continue;
    next(field.key);
    if (print == Print::kNull) {
      out += "null";
    } else {
      AppendValue(owner, field, out);
    }
  }
  out += '}';
}

}  // namespace

void AppendJson(const Message& message, const TypeMeta& type, std::string& out) {
  const Plan& plan = PlanOf(message.GetDescriptor());
  if (plan.form == json::OBJECT) {
    AppendObject(message, plan, type, out);
  } else {
    AppendForm(message, plan, out);
  }
}

}  // namespace strata::codec
