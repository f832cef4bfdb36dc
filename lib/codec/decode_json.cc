#include "lib/codec/decode_json.h"

#include <fmt/format.h>
#include <google/protobuf/reflection.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "lib/base/bytes.h"
#include "lib/base/string_map.h"
#include "lib/base/utf8.h"
#include "lib/codec/json_text.h"
#include "lib/codec/plan.h"
#include "lib/codec/time.h"

namespace strata::codec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace od = simdjson::ondemand;

constexpr size_t kMaxDepth = 1000;
constexpr size_t kMaxUnknown = 100;
// Of maps whose member is repeated: the entries that each repetition looks through, in all.
constexpr size_t kMaxMergedEntries = 100'000;

// A place in the object, for errors: spec.tags[3].name. Links of a list on the stack.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  int index = -1;

  std::string Text() const {
    std::string text = parent == nullptr ? "" : parent->Text();
    if (index >= 0) return fmt::format("{}[{}]", text, index);
    if (!text.empty() && !name.empty()) text += '.';
    return text + std::string(name);
  }
};

base::Status Invalid(const Path& path, std::string_view what) {
  const std::string at = path.Text();
  return base::InvalidArgumentError(
      at.empty() ? std::string(what) : fmt::format("{}: {}", base::Printable(at, 200), what));
}

base::Status Malformed(simdjson::error_code error, const Path& path) {
  return Invalid(path, fmt::format("malformed JSON: {}", simdjson::error_message(error)));
}

std::string_view TypeName(od::json_type type) {
  switch (type) {
    case od::json_type::array:
      return "a list";
    case od::json_type::object:
      return "an object";
    case od::json_type::number:
      return "a number";
    case od::json_type::string:
      return "a string";
    case od::json_type::boolean:
      return "a boolean";
    case od::json_type::null:
      return "null";
  }
  return "nothing known";
}

// Half a pair of surrogates, escaped, which simdjson refuses and Go reads as U+FFFD: replaced by
// that one's escape, which is as long.
void ReplaceLoneSurrogates(char* text, size_t size) {
  const auto surrogate = [&](size_t at) -> int {  // 1: a high one is escaped there, 2: a low one
    if (at + 6 > size || text[at] != '\\' || text[at + 1] != 'u' || (text[at + 2] | 0x20) != 'd')
      return 0;
    const char digit = text[at + 3];
    if (digit == '8' || digit == '9' || (digit | 0x20) == 'a' || (digit | 0x20) == 'b') return 1;
    return (digit | 0x20) >= 'c' && (digit | 0x20) <= 'f' ? 2 : 0;
  };
  const char* const end = text + size;
  for (char* c = text;
       (c = static_cast<char*>(std::memchr(c, '\\', static_cast<size_t>(end - c)))) != nullptr;) {
    const auto at = static_cast<size_t>(c - text);
    const int kind = surrogate(at);
    if (kind == 1 && surrogate(at + 6) == 2) {
      c += 12;
      continue;
    }
    if (kind != 0) std::memcpy(c + 2, "fffd", 4);
    c += std::min<size_t>(2, size - at);
  }
}

// The text that simdjson parses: padded, and with what Go reads as U+FFFD replaced by it.
class Text {
 public:
  explicit Text(std::string_view json)
      : padded_(base::IsUtf8(json) ? simdjson::padded_string(json)
                                   : simdjson::padded_string(base::ToValidUtf8(json))) {
    ReplaceLoneSurrogates(padded_.data(), padded_.size());
  }

  // The root object; `body` reads it and may return an error of its own.
  base::Status ReadObject(const std::function<base::Status(od::object)>& body) {
    od::document document;
    if (const auto error = parser_.iterate(padded_).get(document)) return Malformed(error, {});
    od::json_type type;
    if (const auto error = document.type().get(type)) return Malformed(error, {});
    if (type != od::json_type::object) {
      return base::InvalidArgumentError(fmt::format("expected an object, got {}", TypeName(type)));
    }
    od::object object;
    if (const auto error = document.get_object().get(object)) return Malformed(error, {});
    STRATA_RETURN_IF_ERROR(body(object));
    const char* rest = nullptr;
    if (document.current_location().get(rest) != simdjson::OUT_OF_BOUNDS) {
      return base::InvalidArgumentError("malformed JSON: text after the object");
    }
    return base::OkStatus();
  }

 private:
  simdjson::padded_string padded_;
  od::parser parser_;
};

class Decoder {
 public:
  explicit Decoder(std::vector<std::string>* unknown) : unknown_(unknown) {}

  base::Status Object(od::object object, Message& message, const Path& path, DecodedType* type) {
    if (++depth_ > kMaxDepth) return Invalid(path, "nested too deeply");
    const Plan& plan = PlanOf(message.GetDescriptor());
    for (auto member : object) {
      std::string_view key;
      if (const auto error = member.unescaped_key().get(key)) return Malformed(error, path);
      od::value value;
      if (const auto error = member.value().get(value)) return Malformed(error, path);
      const Path here{&path, key, -1};
      if (type != nullptr && (key == "kind" || key == "apiVersion")) {
        STRATA_RETURN_IF_ERROR(String(value, here, key == "kind" ? type->kind : type->api_version));
        continue;
      }
      const auto found = plan.by_name.find(key);
      if (found == plan.by_name.end()) {
        if (unknown_ != nullptr && unknown_->size() < kMaxUnknown) unknown_->push_back(here.Text());
        STRATA_RETURN_IF_ERROR(Skip(value, here));
        continue;
      }
      const FieldPlan& field = *found->second;
      Message& owner = field.inside == nullptr
                           ? message
                           : *message.GetReflection()->MutableMessage(&message, field.inside);
      STRATA_RETURN_IF_ERROR(Field(value, owner, field, here));
    }
    --depth_;
    return base::OkStatus();
  }

 private:
  // Values of unknown fields are walked, so that what isn't JSON is an error wherever it stands.
  base::Status Skip(od::value value, const Path& path) {
    if (++depth_ > kMaxDepth) return Invalid(path, "nested too deeply");
    od::json_type type;
    if (const auto error = value.type().get(type)) return Malformed(error, path);
    simdjson::error_code error = simdjson::SUCCESS;
    switch (type) {
      case od::json_type::object: {
        od::object object;
        if ((error = value.get_object().get(object)) != simdjson::SUCCESS) break;
        for (auto member : object) {
          od::value inner;
          if ((error = member.value().get(inner)) != simdjson::SUCCESS)
            return Malformed(error, path);
          STRATA_RETURN_IF_ERROR(Skip(inner, path));
        }
        break;
      }
      case od::json_type::array: {
        od::array array;
        if ((error = value.get_array().get(array)) != simdjson::SUCCESS) break;
        for (auto item : array) {
          od::value inner;
          if ((error = item.get(inner)) != simdjson::SUCCESS) return Malformed(error, path);
          STRATA_RETURN_IF_ERROR(Skip(inner, path));
        }
        break;
      }
      case od::json_type::string: {
        std::string_view ignored;
        error = value.get_string().get(ignored);
        break;
      }
      case od::json_type::number: {
        // Checked as text: one that no machine number holds is a number all the same.
        std::string number;
        if (!AppendCompact(value.raw_json_token(), number)) error = simdjson::NUMBER_ERROR;
        break;
      }
      case od::json_type::boolean: {
        bool ignored;
        error = value.get_bool().get(ignored);
        break;
      }
      case od::json_type::null:
        break;
    }
    --depth_;
    return error == simdjson::SUCCESS ? base::OkStatus() : Malformed(error, path);
  }

  static base::Status Expected(od::value value, std::string_view what, const Path& path) {
    od::json_type type;
    if (const auto error = value.type().get(type)) return Malformed(error, path);
    return Invalid(path, fmt::format("expected {}, got {}", what, TypeName(type)));
  }

  static base::StatusOr<bool> IsNull(od::value value, const Path& path) {
    od::json_type type;
    if (const auto error = value.type().get(type)) return Malformed(error, path);
    return type == od::json_type::null;
  }

  static base::Status String(od::value value, const Path& path, std::string& out) {
    STRATA_ASSIGN_OR_RETURN(const bool null, IsNull(value, path));
    if (null) return base::OkStatus();
    std::string_view text;
    const auto error = value.get_string().get(text);
    if (error == simdjson::INCORRECT_TYPE) return Expected(value, "a string", path);
    if (error != simdjson::SUCCESS) return Malformed(error, path);
    out = text;
    return base::OkStatus();
  }

  base::Status Field(od::value value, Message& message, const FieldPlan& field, const Path& path) {
    STRATA_ASSIGN_OR_RETURN(const bool null, IsNull(value, path));
    if (null) return base::OkStatus();  // Go leaves the member as it is
    const auto* reflection = message.GetReflection();
    if (field.field->is_map()) return Map(value, message, field, path);
    if (field.field->is_repeated()) {
      reflection->ClearField(
          &message, field.field);  // of a repeated key the last counts, but maps are merged
      return List(value, message, field, path);
    }
    if (field.field->message_type() != nullptr) {
      return Form(value, *reflection->MutableMessage(&message, field.field), field.inner->form,
                  path);
    }
    return Scalar(value, message, field.field, path);
  }

  base::Status Map(od::value value, Message& message, const FieldPlan& field, const Path& path) {
    od::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS)
      return Expected(value, "an object", path);
    const FieldPlan& entry_plan = field.inner->protobuf.back();
    const FieldDescriptor* map_key = field.field->message_type()->map_key();
    const auto* reflection = message.GetReflection();
    const int merged = reflection->FieldSize(message, field.field);
    merged_entries_ += static_cast<size_t>(merged);
    if (merged_entries_ > kMaxMergedEntries) return Invalid(path, "repeated too often");
    base::StringMap<Message*> entries;
    for (int i = 0; i < merged; ++i) {
      Message* entry = reflection->MutableRepeatedMessage(&message, field.field, i);
      entries[entry->GetReflection()->GetString(*entry, map_key)] = entry;
    }
    for (auto member : object) {
      std::string_view key;
      if (const auto error = member.unescaped_key().get(key)) return Malformed(error, path);
      const std::string owned(key);
      od::value inner;
      if (const auto error = member.value().get(inner)) return Malformed(error, path);
      Message*& entry = entries[owned];
      if (entry == nullptr) entry = reflection->AddMessage(&message, field.field);
      entry->Clear();
      entry->GetReflection()->SetString(entry, map_key, owned);
      STRATA_RETURN_IF_ERROR(Field(inner, *entry, entry_plan, Path{&path, owned, -1}));
    }
    return base::OkStatus();
  }

  base::Status List(od::value value, Message& message, const FieldPlan& field, const Path& path) {
    od::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return Expected(value, "a list", path);
    const auto* reflection = message.GetReflection();
    int index = 0;
    for (auto item : array) {
      const Path here{&path, "", index++};
      od::value inner;
      if (const auto error = item.get(inner)) return Malformed(error, here);
      STRATA_ASSIGN_OR_RETURN(const bool null, IsNull(inner, here));
      if (field.field->message_type() != nullptr) {
        Message* element = reflection->AddMessage(&message, field.field);
        if (!null) STRATA_RETURN_IF_ERROR(Form(inner, *element, field.inner->form, here));
      } else {
        std::string text;
        STRATA_RETURN_IF_ERROR(String(inner, here, text));
        STRATA_RETURN_IF_ERROR(DecodeBytes(field.field, here, text));
        reflection->AddString(&message, field.field, text);
      }
    }
    return base::OkStatus();
  }

  static base::Status DecodeBytes(const FieldDescriptor* field, const Path& path,
                                  std::string& text) {
    if (field->type() != FieldDescriptor::TYPE_BYTES) return base::OkStatus();
    auto bytes = base::FromBase64(text);
    if (!bytes) return Invalid(path, "expected base64");
    text = *std::move(bytes);
    return base::OkStatus();
  }

  base::Status Form(od::value value, Message& message, json::Form form, const Path& path) {
    const auto* reflection = message.GetReflection();
    const FieldDescriptor* first = message.GetDescriptor()->FindFieldByNumber(1);
    switch (form) {
      case json::TIME:
      case json::MICRO_TIME: {
        std::string text;
        STRATA_RETURN_IF_ERROR(String(value, path, text));
        const auto time = ParseTime(text);
        if (!time) return Invalid(path, "expected a time like 2006-01-02T15:04:05Z");
        reflection->SetInt64(&message, first, time->seconds);
        reflection->SetInt32(&message, message.GetDescriptor()->FindFieldByNumber(2),
                             form == json::TIME ? 0 : time->nanos);
        return base::OkStatus();
      }
      case json::RAW: {
        STRATA_ASSIGN_OR_RETURN(const std::string_view raw, Raw(value, path));
        reflection->SetString(&message, first, std::string(raw));
        return base::OkStatus();
      }
      case json::STRINGS: {
        FieldPlan plan;
        plan.field = first;
        return List(value, message, plan, path);
      }
      case json::OBJECT: {
        od::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS)
          return Expected(value, "an object", path);
        return Object(object, message, path, nullptr);
      }
    }
    return base::OkStatus();
  }

  base::StatusOr<std::string_view> Raw(od::value value, const Path& path) {
    od::json_type type;
    if (const auto error = value.type().get(type)) return Malformed(error, path);
    std::string_view raw;
    simdjson::error_code error = simdjson::SUCCESS;
    if (type == od::json_type::object) {
      od::object object;
      error = value.get_object().get(object);
      if (error == simdjson::SUCCESS) error = object.raw_json().get(raw);
    } else if (type == od::json_type::array) {
      od::array array;
      error = value.get_array().get(array);
      if (error == simdjson::SUCCESS) error = array.raw_json().get(raw);
    } else {
      raw = value.raw_json_token();
    }
    if (error != simdjson::SUCCESS) return Malformed(error, path);
    // simdjson's raw text reaches to the next token.
    while (!raw.empty() &&
           (raw.back() == ' ' || raw.back() == '\n' || raw.back() == '\t' || raw.back() == '\r')) {
      raw.remove_suffix(1);
    }
    // It was passed over by its brackets, not read.
    std::string compact;
    if (!AppendCompact(raw, compact)) return Invalid(path, "malformed JSON");
    return raw;
  }

  static base::Status Scalar(od::value value, Message& message, const FieldDescriptor* field,
                             const Path& path) {
    const auto* reflection = message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string text;
        STRATA_RETURN_IF_ERROR(String(value, path, text));
        STRATA_RETURN_IF_ERROR(DecodeBytes(field, path, text));
        reflection->SetString(&message, field, std::move(text));
        return base::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        bool flag;
        if (value.get_bool().get(flag) != simdjson::SUCCESS)
          return Expected(value, "a boolean", path);
        reflection->SetBool(&message, field, flag);
        return base::OkStatus();
      }
      default: {
        int64_t number;
        if (value.get_int64().get(number) != simdjson::SUCCESS)
          return Expected(value, "a whole number of 64 bits", path);
        if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
          reflection->SetInt64(&message, field, number);
          return base::OkStatus();
        }
        if (number < std::numeric_limits<int32_t>::min() ||
            number > std::numeric_limits<int32_t>::max()) {
          return Invalid(path, "the number doesn't fit 32 bits");
        }
        reflection->SetInt32(&message, field, static_cast<int32_t>(number));
        return base::OkStatus();
      }
    }
  }

  std::vector<std::string>* const unknown_;
  size_t depth_ = 0;
  size_t merged_entries_ = 0;
};

}  // namespace

base::StatusOr<DecodedType> DecodeJson(std::string_view json, Message& message,
                                       std::vector<std::string>* unknown) {
  DecodedType type;
  Text text(json);
  STRATA_RETURN_IF_ERROR(text.ReadObject(
      [&](od::object object) { return Decoder(unknown).Object(object, message, {}, &type); }));
  return type;
}

base::StatusOr<std::vector<std::string>> DecodeStrings(std::string_view json) {
  // Only objects are documents to the parser's caller.
  const std::string wrapped = fmt::format("{{\"list\":{}}}", json);
  Text text(wrapped);
  std::vector<std::string> strings;
  STRATA_RETURN_IF_ERROR(text.ReadObject([&](od::object object) -> base::Status {
    for (auto member : object) {
      od::value value;
      if (const auto error = member.value().get(value)) return Malformed(error, {});
      od::json_type type;
      if (const auto error = value.type().get(type)) return Malformed(error, {});
      if (type == od::json_type::null) continue;  // how Go prints a list that isn't there
      od::array list;
      if (value.get_array().get(list) != simdjson::SUCCESS)
        return base::InvalidArgumentError("expected a list of strings");
      for (auto element : list) {
        std::string_view string;
        if (element.get_string().get(string) != simdjson::SUCCESS)
          return base::InvalidArgumentError("expected a list of strings");
        strings.emplace_back(string);
      }
    }
    return base::OkStatus();
  }));
  return strings;
}

base::Status ForEachString(
    std::string_view json,
    const std::function<void(std::string_view key, std::string_view value)>& member) {
  Text text(json);
  return text.ReadObject([&](od::object object) -> base::Status {
    for (auto entry : object) {
      std::string_view key;
      if (const auto error = entry.unescaped_key().get(key)) return Malformed(error, {});
      od::value value;
      if (const auto error = entry.value().get(value)) return Malformed(error, {});
      od::json_type type;
      if (const auto error = value.type().get(type)) return Malformed(error, {});
      if (type != od::json_type::string) continue;
      std::string_view content;
      if (const auto error = value.get_string().get(content))
        return Malformed(error, {nullptr, key, -1});
      member(key, content);
    }
    return base::OkStatus();
  });
}

base::StatusOr<DecodedType> DecodeType(std::string_view json) {
  DecodedType type;
  STRATA_RETURN_IF_ERROR(ForEachString(json, [&](std::string_view key, std::string_view value) {
    if (key == "kind") type.kind = value;
    if (key == "apiVersion") type.api_version = value;
  }));
  return type;
}

base::Status ForEachItem(std::string_view json,
                         const std::function<void(std::string_view item)>& item) {
  Text text(json);
  return text.ReadObject([&](od::object object) -> base::Status {
    for (auto member : object) {
      std::string_view key;
      if (const auto error = member.unescaped_key().get(key)) return Malformed(error, {});
      if (key != "items") continue;
      od::value value;
      if (const auto error = member.value().get(value)) return Malformed(error, {});
      od::json_type type;
      if (const auto error = value.type().get(type)) return Malformed(error, {});
      if (type == od::json_type::null) continue;  // how Go prints a list that isn't there
      od::array items;
      if (value.get_array().get(items) != simdjson::SUCCESS) {
        return base::InvalidArgumentError(
            fmt::format("items: expected a list, got {}", TypeName(type)));
      }
      for (auto element : items) {
        od::object inner;
        if (element.get_object().get(inner) != simdjson::SUCCESS) {
          return base::InvalidArgumentError("items: expected objects");
        }
        std::string_view raw;
        if (const auto error = inner.raw_json().get(raw))
          return Malformed(error, {nullptr, "items", -1});
        item(raw);
      }
    }
    return base::OkStatus();
  });
}

}  // namespace strata::codec
