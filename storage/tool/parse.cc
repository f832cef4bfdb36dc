#include "storage/tool/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "lib/codec/decode_json.h"
#include "lib/codec/json_text.h"
#include "lib/codec/yaml.h"

namespace strata::tool {
namespace {

constexpr int kMaxListDepth = 4;

bool IsOurs(std::string_view api_version) {
  return api_version == records::kApiVersion || api_version == records::kLegacyApiVersion;
}
bool IsRecordKind(std::string_view kind) {
  return records::KindNamed(kind).has_value();
}
bool IsListKind(std::string_view kind) {
  return kind == "List" ||
         std::any_of(records::kKinds.begin(), records::kKinds.end(),
                     [&](const records::KindNames& names) { return names.list == kind; });
}

std::string NameOfOther(std::string_view kind, std::string_view api_version) {
  if (kind.empty() && api_version.empty()) return "no kind";
  if (!IsRecordKind(kind) && !IsListKind(kind)) return std::string(kind);
  return fmt::format("{} ({})", kind, api_version);
}

// The codec's messages begin with "line N: ", counted from where its text began.
BadDocument AtLine(std::string_view message, size_t first_line) {
  constexpr std::string_view kLine = "line ";
  size_t line = 0;
  if (message.starts_with(kLine)) {
    const char* const begin = message.data() + kLine.size();
    const auto [end, error] = std::from_chars(begin, message.data() + message.size(), line);
    const std::string_view rest(end, static_cast<size_t>(message.data() + message.size() - end));
    if (error == std::errc() && line > 0 && rest.starts_with(": ")) {
      return {first_line + line - 1, std::string(rest.substr(2))};
    }
  }
  return {first_line, std::string(message)};
}

bool HasBad(const std::vector<ParseResult>& results) {
  return std::any_of(results.begin(), results.end(), [](const ParseResult& result) {
    return std::holds_alternative<BadDocument>(result);
  });
}

class JsonParser {
 public:
  JsonParser(size_t line, std::string_view default_namespace, std::vector<ParseResult>& results)
      : line_(line), default_namespace_(default_namespace), results_(results) {}

  // `type` is what a document that doesn't say its type is taken for.
  void Parse(std::string_view json, const codec::DecodedType& type, int depth) {
    auto decoded = codec::DecodeType(json);
    if (!decoded.ok()) return Bad(decoded.status());
    if (decoded->kind.empty()) decoded->kind = type.kind;
    if (decoded->api_version.empty()) decoded->api_version = type.api_version;
    const auto& [kind, api_version] = *decoded;
    if (kind.empty() != api_version.empty()) {
      results_.push_back(BadDocument{
          line_, kind.empty() ? "kind: must not be empty" : "apiVersion: must not be empty"});
    } else if (!IsOurs(api_version) || (!IsRecordKind(kind) && !IsListKind(kind))) {
      results_.push_back(Skipped{NameOfOther(kind, api_version)});
    } else if (IsListKind(kind)) {
      ParseList(json, *decoded, depth);
    } else if (records::KindNamed(kind) == records::Kind::kImage) {
      Add<image_v1::Image>(json, [](image_v1::Image& image, image::Warnings& warnings) {
        return image::CheckAndFill(image, warnings);
      });
    } else {
      Add<image_v1::ImageStream>(json,
                                 [this](image_v1::ImageStream& stream, image::Warnings& warnings) {
                                   return image::CheckAndFill(stream, default_namespace_, warnings);
                                 });
    }
  }

 private:
  void ParseList(std::string_view json, const codec::DecodedType& type, int depth) {
    if (depth == kMaxListDepth) {
      results_.push_back(
          BadDocument{line_, fmt::format("lists nested more than {} deep", kMaxListDepth)});
      return;
    }
    codec::DecodedType of_items;
    if (type.kind != "List")
      of_items = {type.kind.substr(0, type.kind.size() - 4), type.api_version};
    const base::Status status =
        codec::ForEachItem(json, [&](std::string_view item) { Parse(item, of_items, depth + 1); });
    if (!status.ok()) Bad(status);
  }

  template <typename Message, typename Check>
  void Add(std::string_view json, const Check& check) {
    Message message;
    ParsedRecord record;
    if (const auto type = codec::DecodeJson(json, message); !type.ok()) return Bad(type.status());
    if (const base::Status status = check(message, record.warnings); !status.ok())
      return Bad(status);
    record.object = std::move(message);
    results_.push_back(std::move(record));
  }

  void Bad(const base::Status& status) {
    results_.push_back(BadDocument{line_, std::string(base::Message(status))});
  }

  const size_t line_;
  const std::string_view default_namespace_;
  std::vector<ParseResult>& results_;
};

}  // namespace

records::Id ParsedRecord::id() const {
  if (const auto* image = std::get_if<image_v1::Image>(&object))
    return {kind(), "", image->metadata().name()};
  const auto& metadata = std::get<image_v1::ImageStream>(object).metadata();
  return {kind(), metadata.namespace_(), metadata.name()};
}

const google::protobuf::Message& ParsedRecord::message() const {
  return std::visit([](const auto& message) -> const google::protobuf::Message& { return message; },
                    object);
}

ObjectMeta& ParsedRecord::metadata() {
  return std::visit([](auto& message) -> ObjectMeta& { return *message.mutable_metadata(); },
                    object);
}

void Parse(const Document& document, std::string_view default_namespace,
           std::vector<ParseResult>& results) {
  if (!document.error.ok()) {
    results.push_back(BadDocument{document.line, std::string(base::Message(document.error))});
    return;
  }
  // Documents of other kinds needn't be parsed to be passed over.
  const bool other_kind =
      !document.kind.empty() && !IsRecordKind(document.kind) && !IsListKind(document.kind);
  const bool other_version = !document.api_version.empty() && !IsOurs(document.api_version);
  if (!document.kind.empty() && !document.api_version.empty() && (other_kind || other_version)) {
    results.push_back(Skipped{NameOfOther(document.kind, document.api_version)});
    return;
  }
  const codec::DecodedType type{document.kind, document.api_version};
  std::vector<ParseResult> as_json;
  if (document.is_json) {
    JsonParser(document.line, default_namespace, as_json).Parse(document.text, type, 0);
    std::string ignored;
    if (!HasBad(as_json) || codec::AppendCompact(document.text, ignored)) {
      std::move(as_json.begin(), as_json.end(), std::back_inserter(results));
      return;
    }
    // What is no JSON may be YAML: `{"a": 1,}`. If it isn't, YAML's error has a line.
  }
  JsonParser parser(document.line, default_namespace, results);
  const base::Status status =
      codec::ForEachYamlDocument(document.text, [&](const codec::YamlDocument& yaml) {
        parser.Parse(yaml.json, type, 0);
        return true;
      });
  if (!status.ok()) results.push_back(AtLine(base::Message(status), document.line));
}

}  // namespace strata::tool
