#include "server/api/continue_token.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "lib/base/ascii.h"
#include "lib/base/bytes.h"
#include "lib/base/utf8.h"
#include "lib/codec/json_syntax.h"
#include "lib/codec/json_text.h"
#include "lib/codec/json_tree.h"
#include "lib/codec/json_writer.h"
#include "server/api/number.h"

namespace strata::api {
namespace {

using codec::JsonTree;

constexpr std::string_view kVersion = "meta.k8s.io/v1";

// storage.continueToken.
struct Token {
  std::string version;
  int64_t revision = 0;
  std::string start;
};

template <typename... Args>
base::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return base::InvalidArgumentError("continue key is not valid" +
                                    fmt::format(format, std::forward<Args>(args)...));
}

// encoding/base64 RawURLEncoding: line ends are passed over, and spare bits may be any.
base::StatusOr<std::string> FromBase64Url(std::string_view text) {
  const auto illegal = [](size_t at) {
    return Invalid(": illegal base64 data at input byte {}", at);
  };
  std::string digits;
  digits.reserve(text.size() + 3);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' || c == '\n') continue;
    const char lower = base::LowerOf(c);
    const bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
    if (!plain && c != '-' && c != '_') return illegal(i);
    digits += c == '-' ? '+' : c == '_' ? '/' : c;
  }
  if (digits.size() % 4 == 1) return illegal(text.size() - 1);
  digits.append((4 - digits.size() % 4) % 4, '=');
  return base::FromBase64(digits).value();
}

// What a json.UnmarshalTypeError calls a value.
std::string_view NameOf(const JsonTree& value) {
  switch (value.kind) {
    case JsonTree::Kind::kString:
      return "string";
    case JsonTree::Kind::kList:
      return "array";
    case JsonTree::Kind::kObject:
      return "object";
    case JsonTree::Kind::kDeep:
      return value.text.starts_with('[') ? "array" : "object";
    case JsonTree::Kind::kLiteral:
      break;
  }
  return value.text == "true" || value.text == "false" ? "bool" : "number";
}

bool IsNull(const JsonTree& value) {
  return value.kind == JsonTree::Kind::kLiteral && value.text == "null";
}

base::Status WrongType(std::string_view what, std::string_view field, std::string_view type) {
  return Invalid(": json: cannot unmarshal {} into Go struct field continueToken.{} of type {}",
                 what, field, type);
}

base::Status ReadString(const JsonTree& value, std::string_view field, std::string& out) {
  if (IsNull(value)) return base::OkStatus();
  if (value.kind != JsonTree::Kind::kString) return WrongType(NameOf(value), field, "string");
  out = value.text;
  return base::OkStatus();
}

base::Status ReadNumber(const JsonTree& value, std::string_view field, int64_t& out) {
  if (IsNull(value)) return base::OkStatus();
  const std::string_view name = NameOf(value);
  if (name != "number") return WrongType(name, field, "int64");
  const auto number = ParseInt(value.text);
  if (!number.ok()) return WrongType("number " + value.text, field, "int64");
  out = *number;
  return base::OkStatus();
}

// json.Unmarshal: names in any case, the last of a name counts, the first error is told.
base::StatusOr<Token> Unmarshal(std::string_view json) {
  if (const std::string problem = codec::JsonProblem(json); !problem.empty())
    return Invalid(": {}", problem);
  std::string compact;
  codec::AppendCompact(base::ToValidUtf8(json), compact);
  const JsonTree tree = codec::ParseTree(compact);
  Token token;
  if (IsNull(tree)) return token;
  if (tree.kind != JsonTree::Kind::kObject) {
    return Invalid(": json: cannot unmarshal {} into Go value of type storage.continueToken",
                   NameOf(tree));
  }
  base::Status first;
  for (size_t i = 0; i < tree.keys.size(); ++i) {
    const std::string name = base::Lower(tree.keys[i]);
    const JsonTree& value = tree.items[i];
    if (name == "v") first.Update(ReadString(value, name, token.version));
    if (name == "rv") first.Update(ReadNumber(value, name, token.revision));
    if (name == "start") first.Update(ReadString(value, name, token.start));
  }
  if (!first.ok()) return first;
  return token;
}

// Whether path.Clean leaves `key`, which begins with a slash, as it is.
bool IsCleanPath(std::string_view key) {
  if (key == "/") return true;
  for (key.remove_prefix(1);;) {
    const size_t slash = key.find('/');
    const std::string_view part = key.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    key.remove_prefix(slash + 1);
  }
}

std::string Encode(std::string_view start, int64_t revision) {
  std::string json;
  codec::JsonWriter out(json);
  out.OpenObject();
  out.PlainString<"v">(kVersion);
  out.Name<"rv">();
  out.Number(revision);
  out.Name<"start">();
  out.String(start);
  out.CloseObject();
  return base::ToBase64Url(json);
}

}  // namespace

std::string ContinueBehind(std::string_view key, base::Revision revision) {
  return Encode(fmt::format("/{}{}", key, '\0'), revision);
}

std::string ContinueInconsistently(std::string_view start) {
  return Encode(start, ContinuePoint::kNewest);
}

base::StatusOr<ContinuePoint> ParseContinue(std::string_view text) {
  STRATA_ASSIGN_OR_RETURN(const std::string json, FromBase64Url(text));
  STRATA_ASSIGN_OR_RETURN(Token token, Unmarshal(json));
  if (token.version != kVersion)
    return Invalid(": server does not recognize this encoded version {}", token.version);
  if (token.revision == 0)
    return Invalid(": incorrect encoded start resourceVersion (version {})", kVersion);
  if (token.start.empty()) return Invalid(": encoded start key empty (version {})", kVersion);
  const std::string key = token.start.starts_with('/') ? token.start : "/" + token.start;
  if (!IsCleanPath(key)) return Invalid(": {}", token.start);
  return ContinuePoint{std::max(token.revision, ContinuePoint::kNewest), key.substr(1)};
}

}  // namespace strata::api
