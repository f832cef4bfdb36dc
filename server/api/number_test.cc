#include "server/api/number.h"

#include <gtest/gtest.h>

namespace strata::api {
namespace {

template <typename Number>
std::string Text(const base::StatusOr<Number>& number) {
  return number.ok() ? std::to_string(*number) : std::string(base::Message(number.status()));
}

TEST(Number, IsReadAsGoReadsIt) {
  const std::string i = "strconv.ParseInt: parsing ", u = "strconv.ParseUint: parsing ";
  const std::string syntax = ": invalid syntax", range = ": value out of range";
  const struct {
    std::string_view text;
    std::string as_int, as_uint;
  } kCases[] = {
      {"0", "0", "0"},
      {"007", "7", "7"},
      {"-1", "-1", u + R"("-1")" + syntax},
      {"+1", "1", u + R"("+1")" + syntax},
      {"", i + R"("")" + syntax, u + R"("")" + syntax},
      {"-", i + R"("-")" + syntax, u + R"("-")" + syntax},
      {"1.5", i + R"("1.5")" + syntax, u + R"("1.5")" + syntax},
      {"1_0", i + R"("1_0")" + syntax, u + R"("1_0")" + syntax},
      {" 1", i + R"(" 1")" + syntax, u + R"(" 1")" + syntax},
      {"a\"\n", i + R"("a\"\n")" + syntax, u + R"("a\"\n")" + syntax},
      {"9223372036854775807", "9223372036854775807", "9223372036854775807"},
      {"9223372036854775808", i + R"("9223372036854775808")" + range, "9223372036854775808"},
      {"-9223372036854775808", "-9223372036854775808", u + R"("-9223372036854775808")" + syntax},
      {"18446744073709551615", i + R"("18446744073709551615")" + range, "18446744073709551615"},
      {"18446744073709551616", i + R"("18446744073709551616")" + range,
       u + R"("18446744073709551616")" + range},
      {"9223372036854775808x", i + R"("9223372036854775808x")" + syntax,
       u + R"("9223372036854775808x")" + syntax},
      {"99999999999999999999x", i + R"("99999999999999999999x")" + range,
       u + R"("99999999999999999999x")" + range},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Text(ParseInt(c.text)), c.as_int) << c.text;
    EXPECT_EQ(Text(ParseUint(c.text)), c.as_uint) << c.text;
  }
}

TEST(Number, OfAResourceVersionMayBeMissing) {
  EXPECT_EQ(Text(ParseResourceVersion("")), "0");
  EXPECT_EQ(Text(ParseResourceVersion("0")), "0");
  EXPECT_EQ(Text(ParseResourceVersion("007")), "7");
  EXPECT_EQ(
      Text(ParseResourceVersion("-1")),
      R"(resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax)");
}

}  // namespace
}  // namespace strata::api
