#include "lib/codec/json_syntax.h"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

#include "lib/base/utf8.h"

namespace strata::codec {
namespace {

constexpr size_t kMaxDepth = 10'000;  // encoding/json maxNestingDepth

// encoding/json quoteChar: a byte is taken for the code point of its number.
std::string QuotedChar(unsigned char c) {
  constexpr std::string_view kNamed = "\a\b\f\n\r\t\v\\'";
  constexpr std::string_view kNames = "abfnrtv\\'";
  if (const size_t named = kNamed.find(static_cast<char>(c)); named != std::string_view::npos)
    return fmt::format("'\\{}'", kNames[named]);
  if (c < 0x20 || c == 0x7F) return fmt::format("'\\x{:02x}'", c);
  if ((c >= 0x80 && c <= 0xA0) || c == 0xAD) return fmt::format("'\\u{:04x}'", c);
  std::string text = "'";
  base::AppendUtf8(c, text);
  return text + '\'';
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

bool IsHex(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// encoding/json scanner. Its functions are false once problem() is there. Behind the end there is a
// space, as in scanner.eof: a word or a number that it cuts off is told by it.
class Checker {
 public:
  explicit Checker(std::string_view json) : json_(json) {}

  bool Run() {
    while (SkipSpace()) {
      if (!Step()) return false;
    }
    if (wanted_ == Wanted::kNext && open_.empty()) return true;
    problem_ = "unexpected end of JSON input";
    return false;
  }

  const std::string& problem() const { return problem_; }

 private:
  enum class Wanted { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kNext };

  bool Step() {
    switch (wanted_) {
      case Wanted::kValueOrEnd:
        if (Peek() == ']') return Close();
        return Value();
      case Wanted::kValue:
        return Value();
      case Wanted::kKeyOrEnd:
        if (Peek() == '}') return Close();
        [[fallthrough]];
      case Wanted::kKey:
        if (Peek() != '"') return Refuse("looking for beginning of object key string");
        wanted_ = Wanted::kColon;
        return String();
      case Wanted::kColon:
        if (!Take(':')) return Refuse("after object key");
        wanted_ = Wanted::kValue;
        return true;
      case Wanted::kNext:
        return Next();
    }
    return false;
  }

  bool Next() {
    if (open_.empty()) return Refuse("after top-level value");
    const bool object = open_.back() == '{';
    if (Peek() == (object ? '}' : ']')) return Close();
    if (!Take(',')) return Refuse(object ? "after object key:value pair" : "after array element");
    wanted_ = object ? Wanted::kKey : Wanted::kValue;
    return true;
  }

  bool Value() {
    wanted_ = Wanted::kNext;
    switch (Peek()) {
      case '{':
      case '[':
        return Open();
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

  bool Open() {
    open_.push_back(Peek());
    if (open_.size() > kMaxDepth) return Refuse("exceeded max depth");
    wanted_ = Peek() == '{' ? Wanted::kKeyOrEnd : Wanted::kValueOrEnd;
    ++at_;
    return true;
  }

  bool Close() {
    open_.pop_back();
    wanted_ = Wanted::kNext;
    ++at_;
    return true;
  }

  bool String() {
    for (++at_; at_ < json_.size();) {
      if (Take('"')) return true;
      if (static_cast<unsigned char>(Peek()) < 0x20) return Refuse("in string literal");
      if (!Take('\\')) {
        ++at_;
        continue;
      }
      const bool hex = Peek() == 'u';
      if (std::string_view("bfnrt\\/\"u").find(Peek()) == std::string_view::npos)
        return Refuse("in string escape code");
      ++at_;
      for (int i = 0; hex && i < 4; ++i, ++at_) {
        if (!IsHex(Peek())) return Refuse("in \\u hexadecimal character escape");
      }
    }
    wanted_ = Wanted::kValue;  // the string didn't end
    return true;
  }

  bool Word(std::string_view word) {
    for (const char c : word) {
      if (!Take(c)) return Refuse(fmt::format("in literal {} (expecting '{}')", word, c));
    }
    return true;
  }

  bool Number() {
    const bool negative = Take('-');
    if (!IsDigit(Peek()))
      return Refuse(negative ? "in numeric literal" : "looking for beginning of value");
    if (!Take('0')) SkipDigits();
    if (Take('.')) {
      if (!IsDigit(Peek())) return Refuse("after decimal point in numeric literal");
      SkipDigits();
    }
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      if (!IsDigit(Peek())) return Refuse("in exponent of numeric literal");
      SkipDigits();
    }
    return true;
  }

  void SkipDigits() {
    while (IsDigit(Peek())) ++at_;
  }

  // Whether something follows.
  bool SkipSpace() {
    while (at_ < json_.size() && std::string_view(" \t\r\n").find(Peek()) != json_.npos) ++at_;
    return at_ < json_.size();
  }

  char Peek() const { return at_ < json_.size() ? json_[at_] : ' '; }

  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }

  bool Refuse(std::string_view where) {
    problem_ = fmt::format("invalid character {} {}",
                           QuotedChar(static_cast<unsigned char>(Peek())), where);
    return false;
  }

  const std::string_view json_;
  size_t at_ = 0;
  Wanted wanted_ = Wanted::kValue;
  std::vector<char> open_;  // the brackets
  std::string problem_;
};

}  // namespace

std::string JsonProblem(std::string_view json) {
  Checker checker(json);
  checker.Run();
  return checker.problem();
}

}  // namespace strata::codec
