// JSON written member by member: names and commas come by themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/codec/json_text.h"

namespace strata::codec {

// A member's name that is known when the program is compiled, and that nothing is escaped in.
template <size_t kSize>
struct JsonName {
  consteval JsonName(const char (&name)[kSize]) {  // NOLINT(google-explicit-constructor): a literal
    size_t at = 2;
    for (size_t i = 0; i + 1 < kSize; ++i) {
      const char c = name[i];
      if (c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&')
        throw "a name that JSON escapes";
      text[at++] = c;
    }
    text[at++] = '"';
    text[at] = ':';
  }

  // With the comma before it and the colon behind, and room for what begins its value.
  char text[kSize + 4] = {',', '"'};
};

// Appends to `out`, which outlives it. Nothing is checked: whoever opens closes, and a name is
// followed by its value.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  void OpenObject() { Open('{'); }
  void OpenList() { Open('['); }
  void CloseObject() { Close('}'); }
  void CloseList() { Close(']'); }
  void String(std::string_view text) { AppendJsonString(text, Value()); }
  void Number(int64_t number);

  // A member's name, and what its value begins with.
  template <JsonName kName>
  void Name() {
    AppendName<kName, '\0'>();
    first_ = true;
  }
  template <JsonName kName>
  void OpenObject() {
    AppendName<kName, '{'>();
    first_ = true;
  }
  template <JsonName kName>
  void OpenList() {
    AppendName<kName, '['>();
    first_ = true;
  }
  // A whole member. `text` has nothing that JSON escapes.
  template <JsonName kName>
  void PlainString(std::string_view text) {
    AppendName<kName, '"'>();
    out_ += text;
    out_ += '"';
    first_ = false;
  }
  // A name that is made, and may need escapes.
  void Name(std::string_view name) {
    NameBy([name](std::string& out) { AppendJsonString(name, out); });
  }
  // The same, with its quotes, appended by `append`.
  template <typename Append>
  void NameBy(const Append& append) {
    append(Value());
    out_ += ':';
    first_ = true;
  }
  // Members that a writer wrote for themselves; may be none.
  void Members(std::string_view members) {
    if (!members.empty()) Value() += members;
  }

  // Where the next value, of any form, is appended.
  std::string& Value() {
    if (!std::exchange(first_, false)) out_ += ',';
    return out_;
  }

  // Bytes of `out`.
  size_t size() const { return out_.size(); }

 private:
  void Open(char bracket) {
    Value() += bracket;
    first_ = true;
  }
  void Close(char bracket) {
    out_ += bracket;
    first_ = false;
  }

  // `kThen` stands behind the colon, unless it is zero. All of it is one piece.
  template <JsonName kName, char kThen>
  void AppendName() {
    static constexpr auto kWhole = [] {
      auto whole = kName;
      whole.text[sizeof whole.text - 1] = kThen;
      return whole;
    }();
    const size_t skipped = first_ ? 1 : 0;
    const size_t end = sizeof kWhole.text - (kThen == '\0' ? 1 : 0);
    out_.append(kWhole.text + skipped, end - skipped);
  }

  std::string& out_;
  bool first_ = true;  // no comma is due
};

}  // namespace strata::codec
