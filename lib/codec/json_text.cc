#include "lib/codec/json_text.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lib/base/utf8.h"
#include "lib/codec/json_scan.h"

namespace strata::codec {
namespace {

using Block = signed char __attribute__((vector_size(16)));

// The first byte that isn't itself in a JSON string of Go's; 16 if there is none.
size_t FirstSpecial(Block block) {
  // As signed numbers, bytes from 0x80 on are less than a space too; '<' and '>' are one bit apart.
  const auto found =
      (block < ' ') | (block == '"') | (block == '\\') | (block == '&') | ((block | 2) == '>');
  static_assert(std::endian::native == std::endian::little);
  uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  if (halves[0] != 0) return static_cast<size_t>(std::countr_zero(halves[0])) / 8;
  if (halves[1] != 0) return 8 + static_cast<size_t>(std::countr_zero(halves[1])) / 8;
  return 16;
}

// How many bytes at the start are themselves in a JSON string. By blocks: most strings are plain
// throughout, and a table would look at each byte.
size_t PlainPrefix(std::string_view text) {
  size_t at = 0;
  Block block;
  for (; at + sizeof block <= text.size(); at += sizeof block) {
    std::memcpy(&block, text.data() + at, sizeof block);
    const size_t first = FirstSpecial(block);
    if (first < sizeof block) return at + first;
  }
  const size_t rest = text.size() - at;
  if (rest == 0) return at;
  if (at > 0) {
    // What was seen before is plain, and does no harm.
    std::memcpy(&block, text.data() + text.size() - sizeof block, sizeof block);
    return std::min(text.size(), text.size() - sizeof block + FirstSpecial(block));
  }
  block = Block{} + ' ';
  std::memcpy(&block, text.data(), rest);
  return std::min(rest, FirstSpecial(block));
}

void AppendEscape(unsigned char c, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
  }
}

bool IsLineSeparator(std::string_view at) {
  return at.starts_with("\xE2\x80\xA8") || at.starts_with("\xE2\x80\xA9");
}

void AppendLineSeparator(std::string_view at, std::string& out) {
  out += at[2] == '\xA8' ? "\\u2028" : "\\u2029";
}

// A strict scanner of one JSON text (RFC 8259) that copies tokens to `out`. No recursion: nesting
// is a stack of bits.
class Compactor {
 public:
  Compactor(std::string_view in, std::string& out) : in_(in), out_(out) {}

  bool Run() {
    bool want_value = true;
    while (want_value || !stack_.empty()) {
      SkipSpace();
      if (!(want_value ? Value(want_value) : Next(want_value))) return false;
    }
    SkipSpace();
    return at_ == in_.size();
  }

 private:
  static constexpr size_t kMaxDepth = 10000;  // Go's own limit (encoding/json maxNestingDepth)

  // After a value inside an array or object: a comma, and then another value is wanted, or the end.
  bool Next(bool& want_value) {
    const bool object = stack_.back();
    if (Take(object ? '}' : ']')) {
      stack_.pop_back();
      return true;
    }
    want_value = true;
    return Take(',') && (!object || Key());
  }

  bool Key() {
    SkipSpace();
    if (!String()) return false;
    SkipSpace();
    return Take(':');
  }

  // A scalar, or the start of an array or object, after which its first value is wanted.
  bool Value(bool& want_value) {
    if (at_ >= in_.size()) return false;
    want_value = false;
    switch (in_[at_]) {
      case '{':
        return Open(true, want_value);
      case '[':
        return Open(false, want_value);
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  bool Open(bool object, bool& want_value) {
    if (stack_.size() >= kMaxDepth) return false;
    Take(object ? '{' : '[');
    SkipSpace();
    if (Take(object ? '}' : ']')) return true;
    stack_.push_back(object);
    want_value = true;
    return !object || Key();
  }

  bool String() {
    if (!Take('"')) return false;
    for (;;) {
      const size_t plain = PlainPrefix(in_.substr(at_));
      out_.append(in_, at_, plain);
      at_ += plain;
      if (at_ == in_.size()) return false;
      const auto c = static_cast<unsigned char>(in_[at_]);
      if (c == '"') return Take('"');
      if (c < 0x20) return false;
      if (c == '\\') {
        if (!Escape()) return false;
      } else if (c == '<' || c == '>' || c == '&') {
        AppendEscape(c, out_);
        ++at_;
      } else if (c == 0xE2 && IsLineSeparator(in_.substr(at_))) {
        AppendLineSeparator(in_.substr(at_), out_);
        at_ += 3;
      } else {
        out_ += in_[at_++];
      }
    }
  }

  bool Escape() {
    if (at_ + 1 >= in_.size()) return false;
    const char c = in_[at_ + 1];
    if (std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos) {
      out_.append(in_.substr(at_, 2));
      at_ += 2;
      return true;
    }
    if (c != 'u' || at_ + 6 > in_.size()) return false;
    for (size_t i = at_ + 2; i < at_ + 6; ++i) {
      if (std::string_view("0123456789abcdefABCDEF").find(in_[i]) == std::string_view::npos)
        return false;
    }
    out_.append(in_.substr(at_, 6));
    at_ += 6;
    return true;
  }

  bool Word(std::string_view word) {
    if (!in_.substr(at_).starts_with(word)) return false;
    out_ += word;
    at_ += word.size();
    return true;
  }

  bool Digits() {
    const size_t start = at_;
    while (at_ < in_.size() && in_[at_] >= '0' && in_[at_] <= '9') out_ += in_[at_++];
    return at_ > start;
  }

  bool Number() {
    Take('-');
    if (Peek('0')) {
      Take('0');
    } else if (!Digits()) {
      return false;
    }
    if (Take('.') && !Digits()) return false;
    if (Peek('e') || Peek('E')) {
      out_ += in_[at_++];
      if (!Take('+')) Take('-');
      return Digits();
    }
    return true;
  }

  bool Peek(char c) const { return at_ < in_.size() && in_[at_] == c; }

  bool Take(char c) {
    if (!Peek(c)) return false;
    out_ += c;
    ++at_;
    return true;
  }

  void SkipSpace() {
    while (at_ < in_.size() &&
           (in_[at_] == ' ' || in_[at_] == '\t' || in_[at_] == '\n' || in_[at_] == '\r'))
      ++at_;
  }

  const std::string_view in_;
  std::string& out_;
  size_t at_ = 0;
  std::vector<bool> stack_;  // true: object
};

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  size_t start = 0;
  size_t i = PlainPrefix(text);
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::string_view rest = text.substr(i);
    size_t length = 1;
    if (c >= 0x80) {
      length = base::Utf8Length(rest);
      if (length != 0 && !(c == 0xE2 && IsLineSeparator(rest))) {
        i += length;
        i += PlainPrefix(text.substr(i));
        continue;
      }
    }
    out.append(text, start, i - start);
    if (c < 0x80) {
      AppendEscape(c, out);
    } else if (length == 0) {
      out += "\\ufffd";
      length = 1;
    } else {
      AppendLineSeparator(rest, out);
    }
    i += length;
    start = i;
    i += PlainPrefix(text.substr(i));
  }
  out.append(text, start, text.size() - start);
  out += '"';
}

bool AppendCompact(std::string_view json, std::string& out) {
  const size_t before = out.size();
  if (Compactor(json, out).Run()) return true;
  out.resize(before);
  return false;
}

std::string Indent(std::string_view json) {
  constexpr size_t kMostLevels = 64;
  std::string out;
  out.reserve(json.size() * 3 / 2);
  size_t depth = 0;
  const auto line = [&](size_t indent) {
    if (depth > kMostLevels) return;
    out += '\n';
    out.append(indent * 2, ' ');
  };
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    switch (c) {
      case '"': {
        const size_t end = JsonStringEnd(json, i);
        out += json.substr(i, end - i + 1);
        i = end;
        break;
      }
      case '{':
      case '[':
        out += c;
        if (i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']')) {
          out += json[++i];
        } else {
          ++depth;
          line(depth);
        }
        break;
      case '}':
      case ']':
        line(depth - 1);
        --depth;
        out += c;
        break;
      case ',':
        out += c;
        line(depth);
        break;
      case ':':
        out += depth > kMostLevels ? ":" : ": ";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace strata::codec
