#include "storage/tool/yaml_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include "lib/base/bytes.h"

namespace strata::tool {
namespace {

constexpr int kMaxBlockDepth = 32;

// The length of the JSON value at the start of `json`.
size_t ValueLength(std::string_view json) {
  size_t depth = 0;
  for (size_t at = 0; at < json.size(); ++at) {
    const char c = json[at];
    if (c == '"') {
      for (++at; at < json.size() && json[at] != '"'; ++at) at += json[at] == '\\';
      if (depth == 0) return std::min(at + 1, json.size());
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;  // ends a number or a word
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == ',' || c == ':')) {
      return at;
    }
  }
  return json.size();
}

std::string_view TakeValue(std::string_view& json) {
  const std::string_view value = json.substr(0, ValueLength(json));
  json.remove_prefix(value.size());
  return value;
}

// Words that some YAML version takes for something else than text.
bool IsReserved(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kWords = {"y",   "n",    "yes",   "no",  "on",
                                                             "off", "true", "false", "null"};
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
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

uint32_t Hex4(std::string_view text) {
  uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    value = value << 4 | static_cast<uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
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

// `literal` with its quotes, for YAML: the same, but for pairs of surrogates, which YAML's \u
// doesn't know, and characters that it doesn't allow.
void AppendQuoted(std::string_view literal, std::string& out) {
  for (size_t at = 0; at < literal.size(); ++at) {
    if (const size_t length = UnprintableLength(literal.substr(at)); length > 0) {
      const std::string_view text = literal.substr(at, length);
      if (length < 3) out += "\\x" + base::ToHex(text.substr(length - 1));
      if (length == 3)
        out += text[1] == '\xbb' ? "\\ufeff" : text[2] == '\xbe' ? "\\ufffe" : "\\uffff";
      at += length - 1;
      continue;
    }
    if (literal[at] != '\\') {
      out += literal[at];
      continue;
    }
    const std::string_view escape = literal.substr(at);
    const uint32_t high = escape.size() >= 12 && escape[1] == 'u' ? Hex4(escape.substr(2)) : 0;
    if (high >= 0xd800 && high < 0xdc00 && escape[6] == '\\' && escape[7] == 'u') {
      const uint32_t low = Hex4(escape.substr(8));
      const uint32_t code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
      static constexpr char kDigits[] = "0123456789abcdef";
      out += "\\U";
      for (int shift = 28; shift >= 0; shift -= 4) out += kDigits[code >> shift & 15];
      at += 11;
    } else {
      out += escape.substr(0, 2);
      ++at;
    }
  }
}

void AppendScalar(std::string_view value, std::string& out) {
  if (value.starts_with('"')) {
    const std::string_view text = value.substr(1, value.size() - 2);
    if (IsPlain(text)) {
      out += text;
    } else {
      AppendQuoted(value, out);
    }
  } else {
    out += value;
  }
}

bool IsBlock(std::string_view value, int depth) {
  return depth < kMaxBlockDepth && value.size() > 2 && (value[0] == '{' || value[0] == '[');
}

// Appends a collection that isn't empty. The first line is already indented; the following are by
// `indent`.
void AppendBlock(std::string_view json, size_t indent, int depth, std::string& out) {
  const bool is_object = json[0] == '{';
  json.remove_prefix(1);
  for (bool first = true; !json.empty() && json[0] != '}' && json[0] != ']'; first = false) {
    const size_t before = json.size();
    if (!first) out.append(indent, ' ');
    if (is_object) AppendScalar(TakeValue(json), out);
    if (json.starts_with(':')) json.remove_prefix(1);
    out += is_object ? ':' : '-';
    const std::string_view value = TakeValue(json);
    if (json.starts_with(',')) json.remove_prefix(1);
    if (json.size() == before) return;  // no JSON after all
    if (!IsBlock(value, depth)) {
      out += ' ';
      AppendScalar(value, out);
      out += '\n';
    } else if (!is_object) {
      out += ' ';
      AppendBlock(value, indent + 2, depth + 1, out);
    } else {
      // A sequence stands in its key's column, as kubectl prints it.
      const size_t inner = value[0] == '{' ? indent + 2 : indent;
      out += '\n';
      out.append(inner, ' ');
      AppendBlock(value, inner, depth + 1, out);
    }
  }
}

}  // namespace

void AppendYaml(std::string_view json, std::string& out) {
  if (IsBlock(json, 0)) {
    AppendBlock(json, 0, 1, out);
  } else {
    AppendScalar(json, out);
    out += '\n';
  }
}

}  // namespace strata::tool
