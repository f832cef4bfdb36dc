#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/parser.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "codec/json_text.h"
#include "codec/utf8.h"
#include "codec/yaml.h"
#include "codec/yaml_scalar.h"

namespace strata::codec {
namespace {

// What our own callbacks throw through yaml-cpp, which reports errors by exceptions.
struct Refused {
  int line;
  std::string what;
};

// yaml-cpp writes what the escapes \N and \_ stand for as one byte (exp.cpp, Exp::Escape), which in
// the UTF-8 around it is no character.
std::string WithWholeCharacters(const std::string& value) {
  std::string whole;
  for (size_t i = 0; i < value.size();) {
    const std::string_view rest = std::string_view(value).substr(i);
    const size_t length = Utf8Length(rest);
    if (length == 0) {
      AppendUtf8(static_cast<uint8_t>(rest[0]), whole);
    } else {
      whole += rest.substr(0, length);
    }
    i += std::max<size_t>(1, length);
  }
  return whole;
}

// Writes the JSON of one document as yaml-cpp reads it, without building a tree.
class JsonWriter : public YAML::EventHandler {
 public:
  const std::string& json() const { return json_; }
  int line() const { return line_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // At a token that it doesn't expect yaml-cpp makes an empty document, and another, without end.
    if (mark.pos == start_) throw Refused{mark.line + 1, "unexpected text"};
    start_ = mark.pos;
    json_.clear();
    open_.clear();
    line_ = 0;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Refuse(mark, anchor);
    if (IsKey()) throw Refused{mark.line + 1, "a null key"};
    Begin(mark);
    json_ += "null";
    End();
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Refuse(mark, 1); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Refuse(mark, anchor);
    const bool key = IsKey();
    Begin(mark);
    const auto token = tag == "?" && !key ? ResolvePlain(value) : std::nullopt;
    if (token) {
      json_ += *token;
    } else {
      AppendJsonString(IsUtf8(value) ? value : WithWholeCharacters(value), json_);
    }
    End();
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, anchor, '[');
  }
  void OnSequenceEnd() override { Close(']'); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, anchor, '{');
  }
  void OnMapEnd() override { Close('}'); }

 private:
  struct Level {
    bool map;
    size_t values = 0;  // keys count too
  };

  bool IsKey() const { return !open_.empty() && open_.back().map && open_.back().values % 2 == 0; }

  static void Refuse(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) throw Refused{mark.line + 1, "anchors and aliases aren't supported"};
  }

  void Begin(const YAML::Mark& mark) {
    if (line_ == 0) line_ = mark.line + 1;
    if (!open_.empty() && open_.back().values > 0) {
      json_ += open_.back().map && open_.back().values % 2 == 1 ? ':' : ',';
    }
  }

  void End() {
    if (!open_.empty()) ++open_.back().values;
  }

  void Open(const YAML::Mark& mark, YAML::anchor_t anchor, char bracket) {
    Refuse(mark, anchor);
    if (IsKey()) throw Refused{mark.line + 1, "a key that is a list or a map"};
    Begin(mark);
    json_ += bracket;
    open_.push_back({bracket == '{'});
  }

  void Close(char bracket) {
    json_ += bracket;
    open_.pop_back();
    End();
  }

  std::string json_;
  std::vector<Level> open_;
  int line_ = 0;
  int start_ = -1;  // where the document starts in the stream
};

}  // namespace

base::Status ForEachYamlDocument(std::string_view yaml,
                                 const std::function<bool(YamlDocument document)>& document) {
  if (!IsUtf8(yaml)) return base::InvalidArgumentError("the text isn't UTF-8");
  std::istringstream stream{std::string(yaml)};
  try {
    YAML::Parser parser(stream);
    JsonWriter writer;
    while (parser.HandleNextDocument(writer)) {
      if (writer.json().empty() || writer.json() == "null") continue;
      if (!document({writer.json(), writer.line()})) break;
    }
    return base::OkStatus();
  } catch (const Refused& refused) {
    return base::InvalidArgumentError(fmt::format("line {}: {}", refused.line, refused.what));
  } catch (const YAML::Exception& error) {
    return base::InvalidArgumentError(
        fmt::format("line {}: {}", error.mark.line + 1, base::Printable(error.msg, 200)));
  }
}

}  // namespace strata::codec
