#include "lib/codec/encode_json.h"

#include <fmt/format.h>
#include <google/protobuf/reflection.h>

#include <algorithm>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/codec/json_text.h"
#include "lib/codec/plan.h"
#include "lib/codec/time.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::codec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void AppendObject(const Message& message, const TypeMeta& type, std::string& out);

void AppendForm(const Message& message, json::Form form, std::string& out) {
  const auto* reflection = message.GetReflection();
  const FieldDescriptor* first = message.GetDescriptor()->FindFieldByNumber(1);
  switch (form) {
    case json::TIME:
      out +=
          IsZeroTime(message) ? "null" : fmt::format("\"{}Z\"", FormatDateTime(SecondsOf(message)));
      return;
    case json::MICRO_TIME: {
      const int32_t nanos =
          reflection->GetInt32(message, message.GetDescriptor()->FindFieldByNumber(2));
      out += IsZeroTime(message) ? "null"
                                 : fmt::format("\"{}.{:06}Z\"", FormatDateTime(SecondsOf(message)),
                                               std::clamp(nanos, 0, 999'999'999) / 1000);
      return;
    }
    case json::RAW: {
      // What isn't JSON can't be printed among JSON; Go fails the whole object there.
      const std::string raw = reflection->GetString(message, first);
      if (raw.empty() || !AppendCompact(raw, out)) out += "null";
      return;
    }
    case json::STRINGS: {
      out += '[';
      for (int i = 0; i < reflection->FieldSize(message, first); ++i) {
        if (i > 0) out += ',';
        AppendJsonString(reflection->GetRepeatedString(message, first, i), out);
      }
      out += ']';
      return;
    }
    case json::OBJECT:
      AppendObject(message, {}, out);
      return;
  }
}

void AppendScalar(const Message& message, const FieldDescriptor* field, int index,
                  std::string& out) {
  const auto* reflection = message.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const std::string& text =
          repeated ? reflection->GetRepeatedStringReference(message, field, index, &scratch)
                   : reflection->GetStringReference(message, field, &scratch);
      if (field->type() == FieldDescriptor::TYPE_BYTES) {
        out += '"' + base::ToBase64(text) + '"';
      } else {
        AppendJsonString(text, out);
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_INT64:
      fmt::format_to(std::back_inserter(out), "{}",
                     repeated ? reflection->GetRepeatedInt64(message, field, index)
                              : reflection->GetInt64(message, field));
      return;
    case FieldDescriptor::CPPTYPE_INT32:
      fmt::format_to(std::back_inserter(out), "{}",
                     repeated ? reflection->GetRepeatedInt32(message, field, index)
                              : reflection->GetInt32(message, field));
      return;
    case FieldDescriptor::CPPTYPE_BOOL: {
      const bool value = repeated ? reflection->GetRepeatedBool(message, field, index)
                                  : reflection->GetBool(message, field);
      out += value ? "true" : "false";
      return;
    }
    default:
      GOOGLE_LOG(FATAL) << "a type that our .proto files don't use: " << field->full_name();
  }
}

void AppendList(const Message& message, const FieldPlan& plan, std::string& out) {
  const auto* reflection = message.GetReflection();
  out += '[';
  for (int i = 0; i < reflection->FieldSize(message, plan.field); ++i) {
    if (i > 0) out += ',';
    if (plan.field->message_type() != nullptr) {
      AppendForm(reflection->GetRepeatedMessage(message, plan.field, i), plan.form, out);
    } else {
      AppendScalar(message, plan.field, i, out);
    }
  }
  out += ']';
}

void AppendMap(const Message& message, const FieldPlan& plan, std::string& out) {
  const FieldDescriptor* value = plan.field->message_type()->map_value();
  const json::Form form =
      value->message_type() != nullptr ? PlanOf(value->message_type()).form : json::OBJECT;
  out += '{';
  bool first = true;
  for (const Message* entry : SortedEntries(message, plan.field)) {
    if (!first) out += ',';
    first = false;
    std::string scratch;
    AppendJsonString(entry->GetReflection()->GetStringReference(
                         *entry, plan.field->message_type()->map_key(), &scratch),
                     out);
    out += ':';
    if (value->message_type() != nullptr) {
      AppendForm(entry->GetReflection()->GetMessage(*entry, value), form, out);
    } else {
      AppendScalar(*entry, value, 0, out);
    }
  }
  out += '}';
}

// Go's omitempty, and what is printed where it isn't asked for.
enum class Print { kOmit, kNull, kValue };

Print WhatToPrint(const Message& message, const FieldPlan& plan) {
  const auto* reflection = message.GetReflection();
  const FieldDescriptor* field = plan.field;
  const Print empty = plan.always ? Print::kNull : Print::kOmit;
  if (field->is_repeated()) {
    return reflection->FieldSize(message, field) > 0 || plan.empty_object ? Print::kValue : empty;
  }
  if (plan.pointer) return reflection->HasField(message, field) ? Print::kValue : empty;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return plan.omit_zero && IsZeroTime(reflection->GetMessage(message, field)) ? Print::kOmit
                                                                                  : Print::kValue;
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

void AppendObject(const Message& message, const TypeMeta& type, std::string& out) {
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
  for (const FieldPlan& plan : PlanOf(message.GetDescriptor()).json) {
    const Message& owner = plan.inside == nullptr
                               ? message
                               : message.GetReflection()->GetMessage(message, plan.inside);
    const Print print = WhatToPrint(owner, plan);
    if (print == Print::kOmit) continue;
    next(plan.key);
    if (print == Print::kNull) {
      out += "null";
    } else if (plan.field->is_map()) {
      AppendMap(owner, plan, out);
    } else if (plan.field->is_repeated()) {
      AppendList(owner, plan, out);
    } else if (plan.field->message_type() != nullptr) {
      AppendForm(owner.GetReflection()->GetMessage(owner, plan.field), plan.form, out);
    } else {
      AppendScalar(owner, plan.field, 0, out);
    }
  }
  out += '}';
}

}  // namespace

void AppendJson(const Message& message, const TypeMeta& type, std::string& out) {
  const Plan& plan = PlanOf(message.GetDescriptor());
  if (plan.form == json::OBJECT) {
    AppendObject(message, type, out);
  } else {
    AppendForm(message, plan.form, out);
  }
}

}  // namespace strata::codec
