#include "storage/tool/yaml_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "lib/codec/json_text.h"
#include "lib/codec/yaml.h"

namespace strata::tool {
namespace {

std::string Yaml(std::string_view json) {
  std::string out;
  AppendYaml(json, out);
  return out;
}

// What a YAML parser makes of it, as JSON.
std::string Read(const std::string& yaml) {
  std::string json;
  const auto status = codec::ForEachYamlDocument(yaml, [&](const codec::YamlDocument& document) {
    json += document.json;
    return true;
  });
  return status.ok() ? json : std::string(base::Message(status));
}

TEST(YamlText, PrintsBlocks) {
  EXPECT_EQ(
      Yaml(
          R"({"kind":"Image","metadata":{"name":"sha256:ab","labels":{}},"count":1,"b":true,"none":null,"list":[],)"
          R"("layers":[{"name":"a","size":0},{"name":"b"}],"m":[[1,2],[]],"deep":{"x":["a b","c"]}})"),
      "kind: Image\n"
      "metadata:\n"
      "  name: sha256:ab\n"
      "  labels: {}\n"
      "count: 1\n"
      "b: true\n"
      "none: null\n"
      "list: []\n"
      "layers:\n"
      "- name: a\n"
      "  size: 0\n"
      "- name: b\n"
      "m:\n"
      "- - 1\n"
      "  - 2\n"
      "- []\n"
      "deep:\n"
      "  x:\n"
      "  - a b\n"
      "  - c\n");
}

// Each must come back from a YAML parser as the text it was.
TEST(YamlText, QuotesWhatWouldNotBeText) {
  const std::string_view plain[] = {
      "a",   "/bin/sh", "sha256:0123", "Build Team (x)", "image-registry:5000/a/b@sha256:1",
      "a-b", "True1"};
  for (const std::string_view text : plain)
    EXPECT_EQ(Yaml("[\"" + std::string(text) + "\"]"), "- " + std::string(text) + "\n");

  const std::string_view quoted[] = {
      "",    "1",      "1.5", "0x10", "true", "Yes", "NULL", "~",          "-",   "- a",  "a: b",
      "a:",  "a #b",   " a",  "a ",   "#a",   "&a",  "*a",   "2024-01-01", "1e3", ".inf", "{a}",
      "[a]", "a,b: c", "%a",  "@a",   "`a",   "'a'", "!a",   "|",          ">",   "?",    "a  b"};
  for (const std::string_view text : quoted) {
    std::string json;
    codec::AppendJsonString(text, json);
    EXPECT_EQ(Yaml("[" + json + "]"), "- " + json + "\n");
    EXPECT_EQ(Read(Yaml("[" + json + "]")), "[" + json + "]");
  }
}

TEST(YamlText, KeepsEscapesReadable) {
  EXPECT_EQ(Read(Yaml(R"(["a\n\"b\"\\ \t\u003c\/"])")), R"(["a\n\"b\"\\ \t\u003c/"])");
  EXPECT_EQ(Read(Yaml(R"(["\ud83d\ude00 \u00e9 é"])")), R"(["😀 é é"])");
  EXPECT_EQ(Yaml("[\"\x7f\u0085\ufeff\uffff\"]"), "- \"\\x7f\\x85\\ufeff\\uffff\"\n");
  EXPECT_EQ(Read(Yaml(R"({"a: b":1,"":2,"x\ny":3})")), R"({"a: b":1,"":2,"x\ny":3})");
}

TEST(YamlText, LeavesDeepNestingInJson) {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  const std::string yaml = Yaml(deep);
  EXPECT_LT(yaml.size(), 11'000u);
  EXPECT_EQ(Yaml("[[\"a\"]]"), "- - a\n");
}

TEST(YamlText, EndsOnAnyPrefix) {
  const std::string text = R"({"a":[1,{"b":"c\"\u12"}],"d":{"e":[[],{}]}})";
  for (size_t size = 0; size <= text.size(); ++size) Yaml(text.substr(0, size));
}

}  // namespace
}  // namespace strata::tool
