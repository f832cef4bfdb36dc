#include "lib/codec/json_syntax.h"

#include <gtest/gtest.h>

namespace strata::codec {
namespace {

// What encoding/json of Go 1.26 says.
TEST(JsonSyntax, SaysWhatIsWrongAsGoDoes) {
  const struct {
    std::string_view json, problem;
  } kCases[] = {
      {R"({"a":[1,-0.5e+3,"\u00e9\n",true,false,null,{},[]]})", ""},
      {" \t\r\n1 ", ""},
      {"", "unexpected end of JSON input"},
      {" ", "unexpected end of JSON input"},
      {"[", "unexpected end of JSON input"},
      {"{", "unexpected end of JSON input"},
      {R"({"a)", "unexpected end of JSON input"},
      {R"({"a")", "unexpected end of JSON input"},
      {R"({"a":)", "unexpected end of JSON input"},
      {R"({"a":1)", "unexpected end of JSON input"},
      {R"({"a":1,)", "unexpected end of JSON input"},
      {"[1,", "unexpected end of JSON input"},
      {"i\xb7\x1d", "invalid character 'i' looking for beginning of value"},
      {"\xe9", "invalid character 'é' looking for beginning of value"},
      {"\x80", "invalid character '\\u0080' looking for beginning of value"},
      {"\xad", "invalid character '\\u00ad' looking for beginning of value"},
      {"\x7f", "invalid character '\\x7f' looking for beginning of value"},
      {"'", "invalid character '\\'' looking for beginning of value"},
      {"\\", "invalid character '\\\\' looking for beginning of value"},
      {"[]]", "invalid character ']' after top-level value"},
      {R"("a""b")", "invalid character '\"' after top-level value"},
      {"[,", "invalid character ',' looking for beginning of value"},
      {"[1,]", "invalid character ']' looking for beginning of value"},
      {"[1 2", "invalid character '2' after array element"},
      {"{1", "invalid character '1' looking for beginning of object key string"},
      {R"({"a":1,})", "invalid character '}' looking for beginning of object key string"},
      {R"({"a" 1)", "invalid character '1' after object key"},
      {R"({"a":1 "b")", "invalid character '\"' after object key:value pair"},
      {R"({"a":1])", "invalid character ']' after object key:value pair"},
      {"\"\n", "invalid character '\\n' in string literal"},
      {R"("\x)", "invalid character 'x' in string escape code"},
      {R"("\)", "invalid character ' ' in string escape code"},
      {R"("\u12)", "invalid character ' ' in \\u hexadecimal character escape"},
      {R"("\u123g")", "invalid character 'g' in \\u hexadecimal character escape"},
      {"tru", "invalid character ' ' in literal true (expecting 'e')"},
      {"fals3", "invalid character '3' in literal false (expecting 'e')"},
      {"nul1", "invalid character '1' in literal null (expecting 'l')"},
      {"-", "invalid character ' ' in numeric literal"},
      {"-a", "invalid character 'a' in numeric literal"},
      {"+1", "invalid character '+' looking for beginning of value"},
      {"01", "invalid character '1' after top-level value"},
      {"1.", "invalid character ' ' after decimal point in numeric literal"},
      {"1.e", "invalid character 'e' after decimal point in numeric literal"},
      {"1e", "invalid character ' ' in exponent of numeric literal"},
      {"1e+-", "invalid character '-' in exponent of numeric literal"},
  };
  for (const auto& c : kCases) EXPECT_EQ(JsonProblem(c.json), c.problem) << c.json;
}

TEST(JsonSyntax, NestsAsDeeplyAsGo) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(JsonProblem(nested(10'000)), "");
  EXPECT_EQ(JsonProblem(nested(10'001)), "invalid character '[' exceeded max depth");
}

}  // namespace
}  // namespace strata::codec
