#include "lib/codec/json_text.h"

#include <gtest/gtest.h>

#include "lib/codec/json_scan.h"

namespace strata::codec {
namespace {

std::string Quote(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(JsonText, StringsAreEscapedAsGoDoes) {
  const struct {
    std::string_view text, json;
  } kCases[] = {
      {"", R"("")"},
      {"sha256:abc", R"("sha256:abc")"},
      {"a\"b\\c/", R"("a\"b\\c/")"},
      {"<a&b>", R"("\u003ca\u0026b\u003e")"},
      {"\b\f\n\r\t", R"("\b\f\n\r\t")"},
      {std::string_view("\0\x1f\x7f", 3), "\"\\u0000\\u001f\x7f\""},
      {"\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAA", "\"\\u2028\\u2029\xE2\x80\xAA\""},
      {"größe 🙂", "\"größe 🙂\""},
      {"\xff\xc3(", R"("\ufffd\ufffd(")"},
      {"\xed\xa0\x80", R"("\ufffd\ufffd\ufffd")"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Quote(c.text), c.json);
}

TEST(JsonText, WhatIsEscapedIsWhereverItStands) {
  for (int c = 0; c < 256; ++c) {
    const std::string one(1, static_cast<char>(c));
    const std::string quoted = Quote(one), escaped = quoted.substr(1, quoted.size() - 2);
    for (size_t at = 0; at < 40; ++at) {
      const std::string before(at, 'a'), after(40 - at, 'z');
      EXPECT_EQ(Quote(before + one + after), '"' + before + escaped + after + '"')
          << c << " " << at;
    }
  }
}

TEST(JsonText, CompactDropsSpaceAndEscapesAndRefusesWhatIsNotOneValue) {
  const struct {
    std::string_view in, out;
  } kGood[] = {
      {" { \"a\" : [ 1 , -0.5e+3 , true,null ] , \"b\":{} }\n",
       R"({"a":[1,-0.5e+3,true,null],"b":{}})"},
      {R"("<\u003c")", R"("\u003c\u003c")"},
      {"[[],[[]]]", "[[],[[]]]"},
      {"0", "0"},
  };
  for (const auto& c : kGood) {
    std::string out;
    EXPECT_TRUE(AppendCompact(c.in, out)) << c.in;
    EXPECT_EQ(out, c.out);
  }
  for (const std::string_view bad :
       {"", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "01", "1.", "+1", "nul", "\"\n\"", "\"\\x\"",
        "\"\\u12\"", "1 2", "]", "{1:2}", "[1}"}) {
    std::string out = "kept";
    EXPECT_FALSE(AppendCompact(bad, out)) << bad;
    EXPECT_EQ(out, "kept");
  }
}

TEST(JsonText, CompactIsBoundedInDepth) {
  std::string out;
  EXPECT_TRUE(AppendCompact(std::string(9000, '[') + std::string(9000, ']'), out));
  EXPECT_FALSE(AppendCompact(std::string(2'000'000, '['), out));
}

TEST(JsonText, IndentIsMarshalIndent) {
  EXPECT_EQ(Indent(R"({"a":[1,"x,{\"}"],"b":{},"c":[],"d":{"e":null}})"),
            "{\n  \"a\": [\n    1,\n    \"x,{\\\"}\"\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": "
            "{\n    \"e\": null\n  }\n}");
}

TEST(JsonText, IndentLeavesWhatIsNestedDeeplyCompact) {
  const std::string inner = R"([1,{"a":[2,3]}])";
  const std::string deep = std::string(63, '[') + inner + std::string(63, ']');
  const std::string indented = Indent(deep);
  const std::string indent(2 * 64, ' ');
  EXPECT_NE(indented.find("\n" + indent + "1,\n" + indent + R"({"a":[2,3]})" + "\n"),
            indented.npos);
  const std::string deepest = std::string(9'000, '[') + std::string(9'000, ']');
  EXPECT_LT(Indent(deepest).size(), 2 * deepest.size());
}

TEST(JsonText, AStringEndsAtItsQuoteOrItsLine) {
  const auto end_of = [](std::string_view json) { return JsonStringEnd(json, json.find('"')); };
  EXPECT_EQ(end_of(R"(["a",1])"), 3u);
  EXPECT_EQ(end_of(R"("")"), 1u);
  EXPECT_EQ(end_of(R"("a\"b\\" ")"), 7u);
  EXPECT_EQ(end_of("\"a\nb\""), 2u) << "no string holds a line feed";
  EXPECT_EQ(end_of("\"a\\\nb\""), 5u) << "but YAML's may, escaped";
  for (const std::string_view open : {"\"", "\"a", "\"a\\", "\"a\\\""})
    EXPECT_EQ(end_of(open), open.size()) << open;
}

}  // namespace
}  // namespace strata::codec
