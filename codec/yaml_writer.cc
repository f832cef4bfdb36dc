// Follows go-yaml v2: encode.go chooses a style for each string, emitterc.go analyses, quotes and folds it.
#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codec/json_text.h"
#include "codec/utf8.h"
#include "codec/yaml.h"
#include "codec/yaml_scalar.h"

namespace strata::codec {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr size_t kBestWidth = 80;  // emitterc.go best_width

uint32_t CodePoint(std::string_view sequence) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(sequence[i]); };
  switch (sequence.size()) {
    case 1: return byte(0);
    case 2: return (byte(0) & 0x1Fu) << 6 | (byte(1) & 0x3Fu);
    case 3: return (byte(0) & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
    default:
      return (byte(0) & 0x07u) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
  }
}

// yamlprivateh.go is_printable.
bool IsPrintable(uint32_t c) {
  return c == 0x0A || (c >= 0x20 && c <= 0x7E) || c == 0x85 || (c >= 0xA0 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || (c >= 0x10000 && c <= 0x10FFFF);
}

// What yaml_emitter_analyze_scalar finds out that matters in block context.
struct Analysis {
  bool plain = true;
  bool single_quoted = true;
  bool literal = true;
  bool multiline = false;
};

Analysis Analyze(std::string_view text) {
  Analysis result;
  if (text.empty()) return {.plain = false, .single_quoted = true, .literal = false};
  bool indicators = text.starts_with("---") || text.starts_with("...");
  bool special = false, breaks = false, space_break = false, break_space = false;
  bool previous_space = false, previous_break = false, preceded_by_space = true;
  const bool leading_space = text.front() == ' ', trailing_space = text.back() == ' ';
  const bool leading_break = text.front() == '\n', trailing_break = text.back() == '\n';
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(1, Utf8Length(text.substr(i)));
    const uint32_t c = CodePoint(text.substr(i, length));
    const size_t next = i + length;
    const bool followed_by_space =
        next >= text.size() || text[next] == ' ' || text[next] == '\t' || text[next] == '\n' || text[next] == '\r';
    if (i == 0) {
      if (length == 1 && std::string_view("#,[]{}&*!|>'\"%@`").find(text[0]) != std::string_view::npos) {
        indicators = true;
      } else if ((c == '?' || c == ':' || c == '-') && followed_by_space) {
        indicators = true;
      }
    } else if ((c == ':' && followed_by_space) || (c == '#' && preceded_by_space)) {
      indicators = true;
    }
    if (!IsPrintable(c)) special = true;
    const bool is_break = c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
    breaks = breaks || is_break;
    if (c == ' ') {
      break_space = break_space || previous_break;
      previous_space = true;
      previous_break = false;
    } else if (is_break) {
      space_break = space_break || previous_space;
      previous_break = true;
      previous_space = false;
    } else {
      previous_space = previous_break = false;
    }
    preceded_by_space = c == ' ' || c == '\t' || is_break;
    i = next;
  }
  result.multiline = breaks;
  if (leading_space || leading_break || trailing_space || trailing_break) result.plain = false;
  if (trailing_space) result.literal = false;
  if (break_space) result.plain = result.single_quoted = false;
  if (space_break || special) result.plain = result.single_quoted = result.literal = false;
  if (breaks || indicators) result.plain = false;
  return result;
}

class Writer {
 public:
  std::string Take() { return std::move(out_); }

  void Document(const element& root) {
    Value(root, 0, false);
    if (out_.empty() || out_.back() != '\n') out_ += '\n';
  }

 private:
  // `indent` is that of the block the value stands in; `inline_start` says that the cursor is behind "- " or "key:".
  void Value(const element& value, size_t indent, bool in_sequence) {
    switch (value.type()) {
      case element_type::OBJECT: return Map(value.get_object().value_unsafe(), indent, in_sequence);
      case element_type::ARRAY: return Sequence(value.get_array().value_unsafe(), indent, in_sequence);
      case element_type::STRING: return String(value.get_string().value_unsafe(), indent);
      case element_type::BOOL: out_ += value.get_bool().value_unsafe() ? "true" : "false"; return;
      case element_type::INT64: out_ += std::to_string(value.get_int64().value_unsafe()); return;
      case element_type::UINT64: out_ += std::to_string(value.get_uint64().value_unsafe()); return;
      case element_type::DOUBLE: out_ += simdjson::minify(value); return;
      case element_type::NULL_VALUE: out_ += "null"; return;
    }
  }

  void NewLine(size_t indent) {
    if (!out_.empty() && out_.back() != '\n') out_ += '\n';
    out_.append(indent, ' ');
  }

  void Map(simdjson::dom::object object, size_t indent, bool in_sequence) {
    std::vector<std::pair<std::string_view, element>> members;
    for (const auto [key, value] : object) members.emplace_back(key, value);
    if (members.empty()) {
      out_ += "{}";
      return;
    }
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    bool first = true;
    for (const auto& [key, value] : members) {
      if (!(first && in_sequence)) NewLine(indent);
      first = false;
      Key(key, indent);
      const bool block = (value.type() == element_type::OBJECT && value.get_object().value_unsafe().size() > 0) ||
                         (value.type() == element_type::ARRAY && value.get_array().value_unsafe().size() > 0);
      if (!block) out_ += ' ';
      // A sequence stands at its key's own indentation.
      Value(value, value.type() == element_type::ARRAY ? indent : indent + 2, false);
    }
  }

  void Key(std::string_view key, size_t indent) {
    // Over 128 characters or several lines a key isn't simple, and is marked.
    if (key.size() > 128 || Analyze(key).multiline) {
      out_ += "? ";
      String(key, indent + 2);
      NewLine(indent);
      out_ += ':';
      return;
    }
    Simple(key);
    out_ += ':';
  }

  void Sequence(simdjson::dom::array array, size_t indent, bool in_sequence) {
    bool first = true;
    for (const element item : array) {
      if (!(first && in_sequence)) NewLine(indent);
      first = false;
      out_ += "- ";
      Value(item, indent + 2, true);
    }
    if (first) out_ += "[]";
  }

  // A key: never folded.
  void Simple(std::string_view text) {
    const Analysis analysis = Analyze(text);
    if (!ResolvePlain(text) && analysis.plain) {
      out_ += text;
    } else if (ResolvePlain(text) || !analysis.single_quoted) {
      DoubleQuoted(text, 0, false);
    } else {
      SingleQuoted(text, 0, false);
    }
  }

  void String(std::string_view text, size_t indent) {
    const Analysis analysis = Analyze(text);
    if (text.find('\n') != std::string_view::npos && analysis.literal) return Literal(text, indent);
    if (ResolvePlain(text) || !analysis.single_quoted) return DoubleQuoted(text, indent, true);
    if (!analysis.plain) return SingleQuoted(text, indent, true);
    Folded(text, indent, [this](std::string_view c) { out_ += c; });
  }

  size_t Column() const {
    const size_t line = out_.rfind('\n');
    size_t column = 0;
    for (size_t i = line == std::string::npos ? 0 : line + 1; i < out_.size(); ++i) {
      if ((static_cast<uint8_t>(out_[i]) & 0xC0) != 0x80) ++column;
    }
    return column;
  }

  // Writes `text` through `put`, breaking at single spaces once past the best width (write_plain_scalar and
  // write_single_quoted share the rule, but a plain scalar may break anywhere a space stands inside).
  template <typename Put>
  void Folded(std::string_view text, size_t indent, const Put& put, bool fold = true) {
    bool spaces = false;
    size_t column = Column();
    for (size_t i = 0; i < text.size();) {
      const size_t length = std::max<size_t>(1, Utf8Length(text.substr(i)));
      const std::string_view c = text.substr(i, length);
      if (c == " ") {
        const bool next_is_space = i + 1 < text.size() && text[i + 1] == ' ';
        if (fold && !spaces && column > kBestWidth && i > 0 && i + 1 < text.size() && !next_is_space) {
          NewLine(indent);
          column = indent;
        } else {
          put(c);
          ++column;
        }
        spaces = true;
      } else {
        put(c);
        ++column;
        spaces = false;
      }
      i += length;
    }
  }

  void SingleQuoted(std::string_view text, size_t indent, bool fold) {
    out_ += '\'';
    Folded(
        text, indent,
        [this](std::string_view c) {
          if (c == "'") out_ += '\'';
          out_ += c;
        },
        fold);
    out_ += '\'';
  }

  void DoubleQuoted(std::string_view text, size_t indent, bool fold) {
    out_ += '"';
    bool spaces = false;
    for (size_t i = 0; i < text.size();) {
      const size_t length = std::max<size_t>(1, Utf8Length(text.substr(i)));
      const std::string_view c = text.substr(i, length);
      if (c == " " && fold && !spaces && i > 0 && i + 1 < text.size() && Column() > kBestWidth) {
        NewLine(indent);
        if (text[i + 1] == ' ') out_ += '\\';
        spaces = true;
      } else if (c == " ") {
        out_ += ' ';
        spaces = true;
      } else {
        Escaped(CodePoint(c), c);
        spaces = false;
      }
      i += length;
    }
    out_ += '"';
  }

  void Escaped(uint32_t code, std::string_view c) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    const auto hex = [&](char kind, int digits) {
      out_ += '\\';
      out_ += kind;
      for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out_ += kHex[code >> shift & 15];
    };
    switch (code) {
      case 0x00: out_ += "\\0"; return;
      case 0x07: out_ += "\\a"; return;
      case 0x08: out_ += "\\b"; return;
      case 0x09: out_ += "\\t"; return;
      case 0x0A: out_ += "\\n"; return;
      case 0x0B: out_ += "\\v"; return;
      case 0x0C: out_ += "\\f"; return;
      case 0x0D: out_ += "\\r"; return;
      case 0x1B: out_ += "\\e"; return;
      case 0x22: out_ += "\\\""; return;
      case 0x5C: out_ += "\\\\"; return;
      case 0x85: out_ += "\\N"; return;
      case 0x2028: out_ += "\\L"; return;
      case 0x2029: out_ += "\\P"; return;
      default: break;
    }
    if (IsPrintable(code)) {
      out_ += c;
    } else if (code <= 0xFF) {
      hex('x', 2);
    } else if (code <= 0xFFFF) {
      hex('u', 4);
    } else {
      hex('U', 8);
    }
  }

  void Literal(std::string_view text, size_t indent) {
    out_ += '|';
    if (text.front() == ' ' || text.front() == '\n') out_ += '2';
    if (text.back() != '\n') {
      out_ += '-';
    } else if (text.size() == 1 || text[text.size() - 2] == '\n') {
      out_ += '+';
    }
    out_ += '\n';
    const size_t block = std::max<size_t>(indent, 2);
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      if (!line.empty()) out_.append(block, ' ').append(line);
      if (end == std::string_view::npos) break;
      out_ += '\n';
      text.remove_prefix(end + 1);
    }
  }

  std::string out_;
};

}  // namespace

std::string JsonToYaml(std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  // The caller's JSON is valid, as the contract says: it comes from our own encoder.
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS) return "null\n";
  Writer writer;
  writer.Document(root);
  return writer.Take();
}

}  // namespace strata::codec
