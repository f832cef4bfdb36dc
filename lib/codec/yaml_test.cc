#include "lib/codec/yaml.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "lib/base/utf8.h"

namespace strata::codec {
namespace {

std::vector<std::string> Documents(std::string_view yaml, base::Status* status = nullptr) {
  std::vector<std::string> documents;
  const base::Status result = ForEachYamlDocument(yaml, [&](const YamlDocument& document) {
    documents.push_back(std::to_string(document.line) + ":" + document.json);
    return true;
  });
  if (status != nullptr) *status = result;
  return documents;
}

TEST(YamlReader, TurnsDocumentsIntoJsonWithTheLineWhereEachStarts) {
  EXPECT_THAT(
      Documents(
          "# c\nkind: A\nlist:\n- 1\n- x: z\n---\n---\n{\"kind\": \"B\"}\n...\n---\nkind: C\n"),
      testing::ElementsAre("2:{\"kind\":\"A\",\"list\":[1,{\"x\":\"z\"}]}", "8:{\"kind\":\"B\"}",
                           "11:{\"kind\":\"C\"}"));
}

TEST(YamlReader, NoBytesAreNoDocuments) {
  EXPECT_THAT(Documents(std::string_view()), testing::IsEmpty());
  EXPECT_THAT(Documents(""), testing::IsEmpty());
}

TEST(YamlReader, PlainScalarsMeanWhatTheyMeanToGo) {
  EXPECT_THAT(
      Documents(
          "a: yes\nb: 'yes'\nc: 010\nd: 0x1F\ne: 1_000\nf: 1.5\ng: ~\nh:\ni: 1.2.3\nj: 2023-01-01\n"
          "k: -7\nl: sha256:1\nm: .5\n1: x\nn: '1'\no: 1e3\np: 08\n\"y\": 0\n"),
      testing::ElementsAre(
          "1:{\"a\":true,\"b\":\"yes\",\"c\":8,\"d\":31,\"e\":1000,\"f\":1.5,\"g\":null,\"h\":null,"
          "\"i\":\"1.2.3\",\"j\":\"2023-01-01\",\"k\":-7,\"l\":\"sha256:1\",\"m\":0.5,\"1\":\"x\","
          "\"false\":\"1\",\"o\":1000,\"p\":8,\"y\":0}"));
}

TEST(YamlReader, EscapesAreWholeCharacters) {
  EXPECT_THAT(Documents(R"("é\N\_\L\P\x85\xe9\u20AC\U0001F600é")"),
              testing::ElementsAre("1:\"é\u0085\u00A0\\u2028\\u2029\u0085é€😀é\""));
}

TEST(YamlReader, ErrorsNameTheLineAndKeepWhatCameBefore) {
  const struct {
    std::string_view yaml, error;
  } kCases[] = {
      {"a: 1\n---\nb: [1\n", "line "},
      {"a: 1\n---\nb: [1,\nc: d\n---\n",
       "line 5: did not find expected ',' or ']' (while parsing a flow sequence that begins in "
       "line 3)"},
      {"a: 1\n---\nb: *x\n", "line 3: *x is the alias of no anchor"},
      {"a: 1\n---\nb: &x [*x]\n", "line 3: what the anchor &x names contains itself"},
      {"a: 1\n---\nb: &x {<<: *x}\n", "line 3: what the anchor &x names contains itself"},
      {"a: 1\n---\nb: {<<: c}\n", "line 3: << takes a map, or a list of maps"},
      {"a: 1\n---\n~: b\n", "line 3: a null key"},
      {"a: 1\n---\nb: !!int c\n", "line 3: \"c\" is a !!str, not a !!int"},
      {"a: 1\n---\nb: !!binary c\n", "line 3: !!binary: expected base64"},
      {"a: 1\n---\nb:\n\tc: d\n", "the line is indented by a tab: YAML takes spaces only"},
      {"a: 1\n---\n? [a]\n: b\n", "line 3: a key that is a list or a map"},
      {"a: 1\n---\n\tb: 1\n", "line "},
  };
  for (const auto& c : kCases) {
    base::Status status;
    EXPECT_THAT(Documents(c.yaml, &status), testing::ElementsAre("1:{\"a\":1}")) << c.yaml;
    EXPECT_THAT(std::string(base::Message(status)), testing::HasSubstr(c.error));
  }
  base::Status status;
  for (const char* endless : {",", ",: x\n", "# c\n  , a: b\n", "]", "}", ": ]"}) {
    Documents(endless, &status);
    EXPECT_FALSE(status.ok()) << endless;
  }
  Documents(std::string(100'000, '['), &status);
  EXPECT_FALSE(status.ok());
  Documents("\xff", &status);
  EXPECT_FALSE(status.ok());
}

TEST(YamlReader, AliasesAreWhatTheyStandForAndMapsAreMerged) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"a: &x 1\nb: &y\n", R"({"a":1,"b":null})"},
      {"a: &x [1, {b: &y c}]\nd: *x\ne: *y\n", R"({"a":[1,{"b":"c"}],"d":[1,{"b":"c"}],"e":"c"})"},
      {"a: &x 1\nb: *x\nc: &x 2\nd: *x\n", R"({"a":1,"b":1,"c":2,"d":2})"},
      {"&x a: *x\n*x : b\n", R"({"a":"b"})"},
      {"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n", R"({"a":{"b":1,"c":2},"d":{"b":1,"c":3}})"},
      // go-yaml v2 takes the later one, here what is merged.
      {"a: &x {b: 1}\nd: {b: 3, <<: *x}\n", R"({"a":{"b":1},"d":{"b":1}})"},
      {"a: {<<: [{b: 1, c: 1}, {c: 2, d: 2}]}\n", R"({"a":{"c":1,"d":2,"b":1}})"},
      {"a: {'<<': b}\n", R"({"a":{"\u003c\u003c":"b"}})"},
      {"a: 1\nb: 2\na: 3\n", R"({"a":3,"b":2})"},
      {"a: !!str 1\nb: !mine 2\nc: !!float 3\nd: !!binary |\n  YW\n  I=\n",
       R"({"a":"1","b":"2","c":3,"d":"YW\nI=\n"})"},
      {"\xef\xbb\xbf{\"a\": \"\\ud83d\\ude00\"}\r\n", "{\"a\":\"\\ud83d\\ude00\"}"},
      {"{a: 1,}", R"({"a":1})"},
  };
  for (const auto& [yaml, json] : kCases) {
    base::Status status;
    EXPECT_THAT(Documents(yaml, &status), testing::ElementsAre("1:" + std::string(json)))
        << yaml << status;
  }
  EXPECT_THAT(Documents("a: &x 1\n---\nb: 1\n"), testing::SizeIs(2));
}

// A small text may not mean a large one; what many documents repeat may be said once.
TEST(YamlReader, AliasesHaveABound) {
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    laughs +=
        fmt::format("a{0}: &a{0} [*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1}]\n", i, i - 1);
  }
  std::string merges = "a0: &a0 {x: y}\n";
  for (int i = 1; i < 40; ++i)
    merges += fmt::format("a{0}: &a{0} {{<<: [*a{1}, *a{1}, *a{1}]}}\n", i, i - 1);
  std::string long_text = "a: &a " + std::string(1 << 20, 'x') + "\nb: [";
  for (int i = 0; i < 50; ++i) long_text += "*a,";
  long_text += "]\n";
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 20'000; ++i) chain += fmt::format("a{0}: &a{0} [*a{1}]\n", i, i - 1);
  for (const std::string& yaml : {laughs, merges, long_text, chain}) {
    base::Status status;
    EXPECT_THAT(Documents(yaml, &status), testing::IsEmpty());
    EXPECT_FALSE(status.ok()) << yaml.substr(0, 40);
  }
  std::string shared = "a: &a {k: v, l: [1, 2]}\nlist:\n";
  for (int i = 0; i < 5000; ++i)
    shared += fmt::format("- {{name: n{}, labels: *a, more: [1, 2, 3, 4]}}\n", i);
  EXPECT_THAT(Documents(shared), testing::SizeIs(1));
}

TEST(YamlWriter, PrintsBlockStyleWithSortedKeys) {
  EXPECT_EQ(JsonToYaml(R"({"b":[{"x":1,"a":[]},"s",[1,[2]]],"a":{"c":null,"d":{}},"e":true})"),
            "a:\n  c: null\n  d: {}\nb:\n- a: []\n  x: 1\n- s\n- - 1\n  - - 2\ne: true\n");
}

TEST(YamlWriter, QuotesStringsThatWouldMeanSomethingElse) {
  const struct {
    std::string_view json, yaml;
  } kCases[] = {
      {R"({"a":""})", "a: \"\"\n"},
      {R"({"a":"true"})", "a: \"true\"\n"},
      {R"({"a":"12"})", "a: \"12\"\n"},
      {R"({"a":"x: y"})", "a: 'x: y'\n"},
      {R"({"a":"it's: x"})", "a: 'it''s: x'\n"},
      {R"({"a":"- x"})", "a: '- x'\n"},
      {R"({"a":" x"})", "a: ' x'\n"},
      {R"({"a":"a:b"})", "a: a:b\n"},
      {R"({"a":"sha256:abc"})", "a: sha256:abc\n"},
      {R"({"a":"{x}"})", "a: '{x}'\n"},
      {R"({"a":"l1\nl2\n"})", "a: |\n  l1\n  l2\n"},
      {R"({"a":"l1\nl2"})", "a: |-\n  l1\n  l2\n"},
      {R"({"a":"x\u0007\ttab"})", "a: \"x\\a\\ttab\"\n"},
      {R"({"12":"x"})", "\"12\": x\n"},
      {R"({"a":"2026-11-23T08:12:32Z"})", "a: \"2026-11-23T08:12:32Z\"\n"},
      {R"({"a":"2026-11-23t8:1:2.5+01:00"})", "a: \"2026-11-23t8:1:2.5+01:00\"\n"},
      {R"({"a":"2001-1-1"})", "a: \"2001-1-1\"\n"},
      {R"({"a":"2001-1-1 1:2:3"})", "a: \"2001-1-1 1:2:3\"\n"},
      {R"({"a":"2001-02-29"})", "a: 2001-02-29\n"},
      {R"({"a":"2001-1-1 1:2:3Z"})", "a: 2001-1-1 1:2:3Z\n"},
      {R"({"a":"1:20"})", "a: \"1:20\"\n"},
      {R"({"a":"1:60"})", "a: 1:60\n"},
      {R"({"a":".inf"})", "a: \".inf\"\n"},
      {R"({"a":"1e3"})", "a: \"1e3\"\n"},
      {R"({"a":"1e-999"})", "a: \"1e-999\"\n"},
      {R"({"a":"1e999"})", "a: 1e999\n"},
      {R"({"a":"123456789012345678901234567890"})", "a: \"123456789012345678901234567890\"\n"},
      {R"({"a":"0x12345678901234567890"})", "a: \"0x12345678901234567890\"\n"},
      {R"({"a":"+-5"})", "a: +-5\n"},
      {R"({"a":"😀"})", "a: \"\\U0001F600\"\n"},
      {R"({"a":"\ud83d\ude00 \ud83d"})", "a: \"\\U0001F600 \xEF\xBF\xBD\"\n"},
      {R"({"a":"x\u0085y\ufeff\u007f"})", "a: \"x\\Ny\\uFEFF\\x7F\"\n"},
      {R"({"a":"x\u2028y"})", "a: 'x\xE2\x80\xA8  y'\n"},
      {R"({"a":"größe \u00a0"})", "a: größe \xC2\xA0\n"},
      {R"({"a":"#x","b":"x #y","c":"x#y","d":"x:","e":":x","f":"?x","g":"? x","h":"@x"})",
       "a: '#x'\nb: 'x #y'\nc: x#y\nd: 'x:'\ne: :x\nf: ?x\ng: '? x'\nh: '@x'\n"},
      {R"({"a":"--- x","b":"x ","c":"\n","d":" \nx","e":"x\n\n","f":"x\n y"})",
       "a: '--- x'\nb: 'x '\nc: |2+\n\nd: \" \\nx\"\ne: |+\n  x\n\nf: |-\n  x\n   y\n"},
  };
  for (const auto& c : kCases) EXPECT_EQ(JsonToYaml(c.json), c.yaml);
}

TEST(YamlWriter, FoldsAsGoDoes) {
  const std::string words =
      "word word word word word word word word word word word word word word ";
  const std::string more = "word word word ";
  const struct {
    std::string json, yaml;
  } kCases[] = {
      // A whole document is indented too: no line of it starts as another document does.
      {"\"" + words + more + "--- end\"", words + "word word word\n  --- end\n"},
      {"\"" + words + more + "... end: x\"", "'" + words + "word word word\n  ... end: x'\n"},
      {"\"" + words + more + "# no\"", "'" + words + "word word word\n  # no'\n"},
      {"\"\\u0001" + words + more + "%YAML end\"",
       "\"\\x01" + words + "word word\n  word %YAML end\"\n"},
      {R"("x\n---\n...")", "|-\n  x\n  ---\n  ...\n"},
      {R"("\n---")", "|2-\n\n  ---\n"},
      {R"("\u2028x\n---")", "|2-\n\u2028  x\n  ---\n"},
      {R"(["a\u2029b\nc"])", "- |-\n  a\u2029  b\n  c\n"},
      {"{\"" + words + more + "---\":\"" + words + more + "? x: y\"}",
       words + more + "---: 'word\n  " + words.substr(5) + "word word word\n  ? x: y'\n"},
      {"[\"" + words + more + " --- two\"]", "- " + words + "word word\n  word  --- two\n"},
      // A quote that is written twice takes two columns.
      {"{\"k\":\"it's 'a' 'b' 'c' " + words + "end: x\"}",
       "k: 'it''s ''a'' ''b'' ''c'' " + words.substr(0, 54) + "\n  word word word end: x'\n"},
  };
  for (const auto& c : kCases) EXPECT_EQ(JsonToYaml(c.json), c.yaml);
}

TEST(YamlWriter, NumbersPrintAsGoPrintsThem) {
  const struct {
    std::string_view json, yaml;
  } kCases[] = {
      {"[0,-7,9007199254740993,18446744073709551615,-0]",
       "- 0\n- -7\n- 9007199254740993\n- 18446744073709551615\n- 0\n"},
      {"[123456789012345678901234567890,1e999]", "- 123456789012345678901234567890\n- 1e999\n"},
      {"[1.5,1.0,1e2,0.0001,0.00001]", "- 1.5\n- 1\n- 100\n- 0.0001\n- 1e-05\n"},
      {"[100000.0,1e6,123456789.5,1e+21]", "- 100000\n- 1e+06\n- 1.234567895e+08\n- 1e+21\n"},
  };
  for (const auto& c : kCases) EXPECT_EQ(JsonToYaml(c.json), c.yaml);
}

TEST(YamlWriter, LongKeysAreMarkedAndTheirValuesFollowOnTheLine) {
  const std::string key(129, 'k');
  EXPECT_EQ(JsonToYaml("{\"a\":{\"" + key + "\":{\"x\":1,\"y\":2}}}"),
            "a:\n  ? " + key + "\n  : x: 1\n    \"y\": 2\n");
  EXPECT_EQ(JsonToYaml("{\"" + key + "\":[1,2]}"), "? " + key + "\n: - 1\n  - 2\n");
  EXPECT_EQ(JsonToYaml("{\"" + key + "\":null}"), "? " + key + "\n: null\n");
}

TEST(YamlWriter, OfRepeatedKeysTheLastCounts) {
  EXPECT_EQ(JsonToYaml(R"({"a":1,"b":{"x":1},"a":2})"), "a: 2\nb:\n  x: 1\n");
}

TEST(YamlWriter, WhatIsNestedTooDeeplyStaysJson) {
  const size_t depth = 100'000;
  const std::string yaml = JsonToYaml(std::string(depth, '[') + "\"]\"" + std::string(depth, ']'));
  EXPECT_TRUE(yaml.ends_with("[[\"]\"]" + std::string(depth - 201, ']') + "\n"));
}

// Raw members (FieldsV1) keep what was stored, and no YAML can hold it.
TEST(YamlWriter, BytesThatAreNotUtf8AreReplacedAsGoReadsThem) {
  const std::string deep(200, '['), end(200, ']');
  const std::pair<std::string, std::string> kCases[] = {
      {"{\"a\xff\":1}", "a\xef\xbf\xbd: 1\n"},
      {"{\"a\":\"\xc3:\\n\xe2\x82\"}", "a: |-\n  \xef\xbf\xbd:\n  \xef\xbf\xbd\xef\xbf\xbd\n"},
  };
  for (const auto& [json, yaml] : kCases) EXPECT_EQ(JsonToYaml(json), yaml);
  EXPECT_TRUE(base::IsUtf8(JsonToYaml(deep + "[\"\xff\"]" + end)));
}

TEST(YamlWriter, WhatItPrintsReadsBackAsTheSame) {
  for (
      const std::string json :
      {R"({"a":"x: 'y' \"z\"","b":["","~"," a b ","a\n\nb\n\n","\u0001","�","🙂 <>&"],"c":{"d e":"# no"}})",
       R"({"long":"one two three four five six seven eight nine ten eleven twelve thirteen fourteen: fifteen sixteen"})"}) {
    const auto documents = Documents(JsonToYaml(json));
    ASSERT_EQ(documents.size(), 1u);
    const auto again = Documents(json);
    EXPECT_EQ(documents[0], again[0]);
  }
}

}  // namespace
}  // namespace strata::codec
