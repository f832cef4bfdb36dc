#include "storage/tool/yaml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lib/base/ascii.h"
#include "lib/base/bytes.h"
#include "lib/base/utf8.h"
#include "lib/codec/json_text.h"
#include "lib/codec/json_tree.h"

namespace strata::tool {
namespace {

using codec::JsonTree;

// Words that some YAML version takes for something else than text.
bool IsReserved(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kWords = {"y",   "n",    "yes",   "no",  "on",
                                                             "off", "true", "false", "null"};
  return std::find(kWords.begin(), kWords.end(), base::Lower(text)) != kWords.end();
}

// Begins with a letter or a slash, so that it is no number and no date, and has nothing that means
// something in YAML.
bool IsPlain(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || (!is_letter(text[0]) && text[0] != '/') || IsReserved(text)) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool inner = c == ' ' || c == ':';  // fine unless before a space, a comment or the end
    if (inner && (i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '#')) return false;
    if (!inner && !is_letter(c) && !(c >= '0' && c <= '9') &&
        std::string_view("_./@+=-$()~,").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

// The number of bytes of a character at the start of `text` that JSON takes as it is and YAML
// doesn't: DEL, the controls from U+0080 (of which U+0085 is a line break in YAML 1.1), U+FEFF,
// U+FFFE and U+FFFF. 0 if it is another.
size_t UnprintableLength(std::string_view text) {
  if (text[0] == '\x7f') return 1;
  if (text.size() >= 2 && text[0] == '\xc2' && static_cast<unsigned char>(text[1]) < 0xa0) return 2;
  if (text.starts_with("\xef\xbb\xbf") || text.starts_with("\xef\xbf\xbe") ||
      text.starts_with("\xef\xbf\xbf"))
    return 3;
  return 0;
}

// With quotes and JSON's escapes, which are YAML's, and with escapes for what YAML alone doesn't
// allow.
void AppendQuoted(std::string_view text, std::string& out) {
  std::string quoted;
  codec::AppendJsonString(text, quoted);
  for (std::string_view rest = quoted; !rest.empty();) {
    const size_t length = UnprintableLength(rest);
    const std::string_view character = rest.substr(0, std::max<size_t>(length, 1));
    if (length == 0) out += character;
    if (length == 1 || length == 2) out += "\\x" + base::ToHex(character.substr(length - 1));
    if (length == 3) out += fmt::format("\\u{:04x}", base::CodePoint(character));
    rest.remove_prefix(character.size());
  }
}

void AppendText(std::string_view text, std::string& out) {
  if (IsPlain(text)) {
    out += text;
  } else {
    AppendQuoted(text, out);
  }
}

bool IsBlock(const JsonTree& value) {
  return !value.items.empty();
}

void AppendScalar(const JsonTree& value, std::string& out) {
  switch (value.kind) {
    case JsonTree::Kind::kString:
      return AppendText(value.text, out);
    case JsonTree::Kind::kObject:
      out += "{}";
      return;
    case JsonTree::Kind::kList:
      out += "[]";
      return;
    case JsonTree::Kind::kLiteral:
    case JsonTree::Kind::kDeep:
      out += value.text;
      return;
  }
}

// Appends a collection that isn't empty. The first line is already indented; the following are by
// `indent`.
void AppendBlock(const JsonTree& tree, size_t indent, std::string& out) {
  const bool is_object = tree.kind == JsonTree::Kind::kObject;
  for (size_t i = 0; i < tree.items.size(); ++i) {
    const JsonTree& value = tree.items[i];
    if (i > 0) out.append(indent, ' ');
    if (is_object) AppendText(tree.keys[i], out);
    out += is_object ? ':' : '-';
    if (!IsBlock(value)) {
      out += ' ';
      AppendScalar(value, out);
      out += '\n';
    } else if (!is_object) {
      out += ' ';
      AppendBlock(value, indent + 2, out);
    } else {
      // A sequence stands in its key's column, as kubectl prints it.
      const size_t inner = value.kind == JsonTree::Kind::kObject ? indent + 2 : indent;
      out += '\n';
      out.append(inner, ' ');
      AppendBlock(value, inner, out);
    }
  }
}

}  // namespace

void AppendYaml(std::string_view json, std::string& out) {
  const JsonTree tree = codec::ParseTree(json);
  if (IsBlock(tree)) {
    AppendBlock(tree, 0, out);
  } else {
    AppendScalar(tree, out);
    out += '\n';
  }
}

}  // namespace strata::tool
