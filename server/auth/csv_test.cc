#include "server/auth/csv.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace strata::auth {
namespace {

std::string Say(std::string_view text) {
  const auto rows = ParseCsv(text);
  if (!rows.ok()) return std::string(base::Message(rows.status()));
  std::string out;
  for (const CsvRow& row : *rows)
    out += fmt::format("{}:{}|", row.line, fmt::join(row.fields, ";"));
  return out;
}

TEST(Csv, ReadsRowsAsGoDoes) {
  const struct {
    std::string_view text, wanted;
  } kCases[] = {
      {"", ""},
      {"a,b,c\n", "1:a;b;c|"},
      {"a,b\r\n\r\nc,d", "1:a;b|3:c;d|"},
      {"t,u,1,\"g1,g2\"\n", "1:t;u;1;g1,g2|"},
      {"\"a\"\"b\",\"two\nlines\"\nx", "1:a\"b;two\nlines|3:x|"},
      {"a,,\n", "1:a;;|"},
      {"a,b\"c\n", "parse error on line 1, column 4: bare \" in non-quoted-field"},
      {"x\n\"a\"b\n", "parse error on line 2, column 3: extraneous or missing \" in quoted-field"},
      {"\"a\n", "parse error on line 1, column 4: extraneous or missing \" in quoted-field"},
      {"x\n\"a\nb",
       "record on line 2; parse error on line 3, column 2: extraneous or missing \" in "
       "quoted-field"},
      {"\"a\r\nb\"\r", "1:a\nb|"},
      {"a\rb,c", "1:a\rb;c|"},
      {" a , b \n", "1: a ; b |"},
      {"\n\n,\n", "3:;|"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Say(c.text), c.wanted);
}

}  // namespace
}  // namespace strata::auth
