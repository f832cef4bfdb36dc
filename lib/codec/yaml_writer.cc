// Follows go-yaml v2: encode.go chooses a style for each string, emitterc.go analyses, quotes and
// folds it.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/utf8.h"
#include "lib/codec/json_tree.h"
#include "lib/codec/yaml.h"
#include "lib/codec/yaml_scalar.h"

namespace strata::codec {
namespace {

constexpr size_t kBestWidth = 80;  // emitterc.go best_width
constexpr size_t kIndent = 2;      // best_indent

// yamlprivateh.go is_printable, which lets nothing beyond the basic plane pass.
bool IsPrintable(uint32_t c) {
  return c == 0x0A || (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF);
}

bool IsBreak(uint32_t c) {
  return c == 0x0A || c == 0x0D || c == 0x85 || c == 0x2028 || c == 0x2029;
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
  const bool trailing_space = text.back() == ' ';
  bool outer_blank = text.front() == ' ' || trailing_space;
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(1, base::Utf8Length(text.substr(i)));
    const uint32_t c = base::CodePoint(text.substr(i, length));
    const size_t next = i + length;
    const bool followed_by_space = next >= text.size() || text[next] == ' ' || text[next] == '\t';
    if (i == 0) {
      if ((length == 1 &&
           std::string_view("#,[]{}&*!|>'\"%@`").find(text[0]) != std::string_view::npos) ||
          ((c == '?' || c == ':' || c == '-') && followed_by_space)) {
        indicators = true;
      }
    } else if ((c == ':' && followed_by_space) || (c == '#' && preceded_by_space)) {
      indicators = true;
    }
    if (!IsPrintable(c)) special = true;
    const bool is_break = IsBreak(c);
    breaks = breaks || is_break;
    if (is_break && (i == 0 || next >= text.size())) outer_blank = true;
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
  if (outer_blank) result.plain = false;
  if (trailing_space) result.literal = false;
  if (break_space) result.plain = result.single_quoted = false;
  if (space_break || special) result.plain = result.single_quoted = result.literal = false;
  if (breaks || indicators) result.plain = false;
  return result;
}

class Writer {
 public:
  explicit Writer(const std::stop_token& stop) : stop_(stop) {}

  std::string Take() { return std::move(out_); }

  void Document(const JsonTree& root) {
    Value(root, 0, false);
    if (out_.empty() || out_.back() != '\n') out_ += '\n';
  }

 private:
  static bool IsBlock(const JsonTree& value) {
    return (value.kind == JsonTree::Kind::kObject || value.kind == JsonTree::Kind::kList) &&
           !value.items.empty();
  }

  // `indent` is that of the block the value stands in; with `inlined` its first entry follows on
  // the line of a "- ",
  // "? " or ": ".
  void Value(const JsonTree& value, size_t indent, bool inlined) {
    switch (value.kind) {
      case JsonTree::Kind::kObject:
        return Map(value, indent, inlined);
      case JsonTree::Kind::kList:
        return Sequence(value, indent, inlined);
      case JsonTree::Kind::kString:
        // A scalar that is the whole document stands as in a block, so that no line of it looks
        // like a document's start or end (emitterc.go yaml_emitter_increase_indent).
        return String(value.text, std::max(indent, kIndent));
      case JsonTree::Kind::kLiteral:
        out_ += PlainLiteral(value.text);
        return;
      case JsonTree::Kind::kDeep:
        out_ += value.text;
        return;  // JSON is YAML
    }
  }

  void NewLine(size_t indent) {
    if (!out_.empty() && out_.back() != '\n') out_ += '\n';
    out_.append(indent, ' ');
  }

  void Map(const JsonTree& map, size_t indent, bool inlined) {
    if (map.items.empty()) {
      out_ += "{}";
      return;
    }
    std::vector<size_t> order(map.items.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return map.keys[a] < map.keys[b]; });
    for (size_t i = 0; i < order.size() && !stop_.stop_requested(); ++i) {
      const std::string& key = map.keys[order[i]];
      if (i + 1 < order.size() && map.keys[order[i + 1]] == key)
        continue;  // of a repeated key the last counts
      if (!inlined) NewLine(indent);
      inlined = false;
      Member(key, map.items[order[i]], indent);
    }
  }

  void Member(std::string_view key, const JsonTree& value, size_t indent) {
    // Over 128 bytes or several lines a key isn't simple, and is marked; then nothing breaks the
    // line before the value.
    if (key.size() > 128 || Analyze(key).multiline) {
      out_ += "? ";
      String(key, indent + 2);
      NewLine(indent);
      out_ += ": ";
      return Value(value, indent + 2, true);
    }
    Simple(key);
    out_ += IsBlock(value) ? ":" : ": ";
    // A sequence stands at its key's own indentation.
    Value(value, value.kind == JsonTree::Kind::kList ? indent : indent + 2, false);
  }

  void Sequence(const JsonTree& list, size_t indent, bool inlined) {
    if (list.items.empty()) out_ += "[]";
    for (const JsonTree& item : list.items) {
      if (!inlined) NewLine(indent);
      inlined = false;
      out_ += "- ";
      Value(item, indent + 2, true);
    }
  }

  // A key: never folded.
  void Simple(std::string_view text) {
    const Analysis analysis = Analyze(text);
    if (!NeedsQuotes(text) && analysis.plain) {
      out_ += text;
    } else if (NeedsQuotes(text) || !analysis.single_quoted) {
      DoubleQuoted(text, 0, false);
    } else {
      SingleQuoted(text, 0, false);
    }
  }

  void String(std::string_view text, size_t indent) {
    const Analysis analysis = Analyze(text);
    if (text.find('\n') != std::string_view::npos) {
      return analysis.literal ? Literal(text, indent) : DoubleQuoted(text, indent, true);
    }
    if (NeedsQuotes(text) || !analysis.single_quoted) return DoubleQuoted(text, indent, true);
    if (!analysis.plain) return SingleQuoted(text, indent, true);
    Folded(text, indent, "", true);
  }

  size_t Column() const {
    const size_t line = out_.rfind('\n');
    size_t column = 0;
    for (size_t i = line == std::string::npos ? 0 : line + 1; i < out_.size(); ++i) {
      if ((static_cast<uint8_t>(out_[i]) & 0xC0) != 0x80) ++column;
    }
    return column;
  }

  // Writes `text`, with the character `doubled` twice, breaking at single spaces once past the best
  // width (write_plain_scalar and write_single_quoted share the rule, but a plain scalar may break
  // anywhere a space stands inside). Breaks other than a line feed stand as they are, and the text
  // behind them is indented.
  void Folded(std::string_view text, size_t indent, std::string_view doubled, bool fold) {
    bool spaces = false, breaks = false;
    size_t column = Column();
    for (size_t i = 0; i < text.size();) {
      const size_t length = std::max<size_t>(1, base::Utf8Length(text.substr(i)));
      const std::string_view c = text.substr(i, length);
      if (c == " ") {
        const bool next_is_space = i + 1 < text.size() && text[i + 1] == ' ';
        if (fold && !spaces && column > kBestWidth && i > 0 && i + 1 < text.size() &&
            !next_is_space) {
          NewLine(indent);
          column = indent;
        } else {
          out_ += c;
          ++column;
        }
        spaces = true;
      } else if (IsBreak(base::CodePoint(c))) {
        out_ += c;
        column = 0;
        breaks = true;
      } else {
        if (breaks) {
          out_.append(indent, ' ');
          column = indent;
        }
        out_ += c;
        ++column;
        if (c == doubled) {
          out_ += c;
          ++column;
        }
        spaces = breaks = false;
      }
      i += length;
    }
  }

  void SingleQuoted(std::string_view text, size_t indent, bool fold) {
    out_ += '\'';
    Folded(text, indent, "'", fold);
    out_ += '\'';
  }

  void DoubleQuoted(std::string_view text, size_t indent, bool fold) {
    out_ += '"';
    bool spaces = false;
    for (size_t i = 0; i < text.size();) {
      const size_t length = std::max<size_t>(1, base::Utf8Length(text.substr(i)));
      const std::string_view c = text.substr(i, length);
      if (c == " " && fold && !spaces && i > 0 && i + 1 < text.size() && Column() > kBestWidth) {
        NewLine(indent);
        if (text[i + 1] == ' ') out_ += '\\';
        spaces = true;
      } else if (c == " ") {
        out_ += ' ';
        spaces = true;
      } else {
        Escaped(base::CodePoint(c), c);
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
      case 0x00:
        out_ += "\\0";
        return;
      case 0x07:
        out_ += "\\a";
        return;
      case 0x08:
        out_ += "\\b";
        return;
      case 0x09:
        out_ += "\\t";
        return;
      case 0x0A:
        out_ += "\\n";
        return;
      case 0x0B:
        out_ += "\\v";
        return;
      case 0x0C:
        out_ += "\\f";
        return;
      case 0x0D:
        out_ += "\\r";
        return;
      case 0x1B:
        out_ += "\\e";
        return;
      case 0x22:
        out_ += "\\\"";
        return;
      case 0x5C:
        out_ += "\\\\";
        return;
      case 0x85:
        out_ += "\\N";
        return;
      case 0x2028:
        out_ += "\\L";
        return;
      case 0x2029:
        out_ += "\\P";
        return;
      default:
        break;
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

  // write_literal_scalar; the hints, which depend on the first and the last characters, are
  // write_block_scalar_hints'.
  void Literal(std::string_view text, size_t indent) {
    out_ += '|';
    if (text.front() == ' ' || IsBreak(base::CodePoint(text.substr(0, base::Utf8Length(text)))))
      out_ += '2';
    const size_t chomping = out_.size();
    out_ += '\n';
    bool breaks = true, breaks_before = true;
    for (size_t i = 0; i < text.size();) {
      const std::string_view c =
          text.substr(i, std::max<size_t>(1, base::Utf8Length(text.substr(i))));
      breaks_before = std::exchange(breaks, IsBreak(base::CodePoint(c)));
      if (breaks_before && !breaks) out_.append(indent, ' ');
      out_ += c;
      i += c.size();
    }
    if (!breaks) {
      out_.insert(chomping, 1, '-');
    } else if (breaks_before) {
      out_.insert(chomping, 1, '+');
    }
  }

  const std::stop_token& stop_;
  std::string out_;
};

}  // namespace

std::string JsonToYaml(std::string_view json, const std::stop_token& stop) {
  Writer writer(stop);
  writer.Document(ParseTree(json, stop));
  return writer.Take();
}

}  // namespace strata::codec
