#include "server/api/continue_token.h"

#include <gtest/gtest.h>

#include "lib/base/bytes.h"

namespace strata::api {
namespace {

using std::string_literals::operator""s;

std::string Said(std::string_view token) {
  const auto point = ParseContinue(token);
  if (!point.ok()) return std::string(base::Message(point.status()));
  return std::to_string(point->revision) + " " + point->start;
}

std::string SaidOfJson(std::string_view json) {
  return Said(base::ToBase64Url(json));
}

// Tokens of test/golden-resources: page.*, expired.continue-old.
TEST(ContinueToken, IsUpstreams) {
  const struct {
    std::string made, token, said;
  } kCases[] = {
      {ContinueBehind("page-1", 804),
       "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6ODA0LCJzdGFydCI6Ii9wYWdlLTFcdTAwMDAifQ",
       "804 page-1\0"s},
      {ContinueBehind("golden-a/schema2-single", 804),
       "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6ODA0LCJzdGFydCI6Ii9nb2xkZW4tYS9zY2hlbWEyLXNpbmdsZVx1MD"
       "AwMCJ9",
       "804 golden-a/schema2-single\0"s},
      {ContinueInconsistently("a\0"s),
       "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYVx1MDAwMCJ9", "-1 a\0"s},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(c.made, c.token);
    EXPECT_EQ(Said(c.token), c.said);
  }
}

TEST(ContinueToken, IsReadAsGoReadsIt) {
  const struct {
    std::string_view json, said;
  } kCases[] = {
      {R"({"v":"meta.k8s.io/v1","rv":7,"start":"a"})", "7 a"},
      {R"( { "V" : "meta.k8s.io/v1" , "rV" : 7 , "START" : "/a" } )", "7 a"},
      {R"({"v":"x","v":"meta.k8s.io/v1","rv":1,"rv":7,"x":[{}],"start":"a","start":null})", "7 a"},
      {R"({"v":"meta.k8s.io/v1","rv":7,"start":"/"})", "7 "},
      {R"({"v":"meta.k8s.io/v1","rv":-5,"start":"a\u00e9\ud83d\ude00"})", "-1 aé😀"},
      {"{\"v\":\"meta.k8s.io/v1\",\"rv\":7,\"start\":\"a\xff\"}", "7 a\xEF\xBF\xBD"},
  };
  for (const auto& c : kCases) EXPECT_EQ(SaidOfJson(c.json), c.said) << c.json;
  EXPECT_EQ(Said("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJy\r\ndiI6LTEsInN0YXJ0IjoiYVx1MDAwMCJ9\n"),
            "-1 a\0"s);
}

TEST(ContinueToken, IsRefusedInUpstreamsWords) {
  const std::string invalid = "continue key is not valid: ";
  const std::string unmarshal = invalid + "json: cannot unmarshal ";
  const struct {
    std::string_view json;
    std::string error;
  } kCases[] = {
      {"", invalid + "unexpected end of JSON input"},
      {"i", invalid + "invalid character 'i' looking for beginning of value"},
      {"{}", invalid + "server does not recognize this encoded version "},
      {"null", invalid + "server does not recognize this encoded version "},
      {R"({"v":"meta.k8s.io/v2"})",
       invalid + "server does not recognize this encoded version meta.k8s.io/v2"},
      {R"({"v":"meta.k8s.io/v1","start":"a"})",
       invalid + "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"},
      {R"({"v":"meta.k8s.io/v1","rv":7})",
       invalid + "encoded start key empty (version meta.k8s.io/v1)"},
      {R"({"v":"meta.k8s.io/v1","rv":7,"start":"../a"})", invalid + "../a"},
      {R"({"v":"meta.k8s.io/v1","rv":7,"start":"a/"})", invalid + "a/"},
      {R"({"v":"meta.k8s.io/v1","rv":7,"start":"/a//b"})", invalid + "/a//b"},
      {R"({"v":"meta.k8s.io/v1","rv":7,"start":"."})", invalid + "."},
      {"[]", unmarshal + "array into Go value of type storage.continueToken"},
      {R"("a")", unmarshal + "string into Go value of type storage.continueToken"},
      {"1", unmarshal + "number into Go value of type storage.continueToken"},
      {"true", unmarshal + "bool into Go value of type storage.continueToken"},
      {R"({"v":1,"rv":"1"})",
       unmarshal + "number into Go struct field continueToken.v of type string"},
      {R"({"rv":"1"})", unmarshal + "string into Go struct field continueToken.rv of type int64"},
      {R"({"rv":1.5})",
       unmarshal + "number 1.5 into Go struct field continueToken.rv of type int64"},
      {R"({"rv":9223372036854775808})",
       unmarshal +
           "number 9223372036854775808 into Go struct field continueToken.rv of type int64"},
      {R"({"rv":false})", unmarshal + "bool into Go struct field continueToken.rv of type int64"},
      {R"({"START":{}})",
       unmarshal + "object into Go struct field continueToken.start of type string"},
  };
  for (const auto& c : kCases) EXPECT_EQ(SaidOfJson(c.json), c.error) << c.json;
}

TEST(ContinueToken, IsBase64WithoutPadding) {
  const std::string illegal = "continue key is not valid: illegal base64 data at input byte ";
  EXPECT_EQ(Said("abc="), illegal + "3");
  EXPECT_EQ(Said("ab+c"), illegal + "2");
  EXPECT_EQ(Said("abcde"), illegal + "4");
  EXPECT_EQ(Said("abcde\n"), illegal + "5");
  EXPECT_EQ(Said("a\xff"), illegal + "1");
}

}  // namespace
}  // namespace strata::api
