#include "lib/base/duration.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

TEST(Duration, ReadsWhatGoReads) {
  const struct {
    std::string_view text;
    int64_t nanos;
  } kCases[] = {{"0", 0},
                {"5s", 5'000'000'000},
                {"1ns", 1},
                {"1.5h", 5'400'000'000'000},
                {"-2ms", -2'000'000},
                {"+.5s", 500'000'000},
                {"1m30s", 90'000'000'000},
                {"3µs", 3000},
                {"3\u03bcs", 3000},
                {"-0", 0},
                {"1.s", 1'000'000'000},
                {"0.3333333333333333333h", 1'200'000'000'000},
                {"9223372036854775807ns", INT64_MAX},
                {"-9223372036854775808ns", INT64_MIN},
                {"9007199254740993ns", 9'007'199'254'740'993},
                {"0.9223372036854775807999s", 922'337'203}};
  for (const auto& c : kCases) {
    const auto parsed = ParseDuration(c.text);
    ASSERT_TRUE(parsed.ok()) << c.text;
    EXPECT_EQ(parsed->count(), c.nanos) << c.text;
  }
}

TEST(Duration, ErrorsHaveGosText) {
  const struct {
    std::string_view text, error;
  } kCases[] = {{"xyz", "time: invalid duration \"xyz\""},
                {"", "time: invalid duration \"\""},
                {"5", "time: missing unit in duration \"5\""},
                {"5x", "time: unknown unit \"x\" in duration \"5x\""},
                {"-", "time: invalid duration \"-\""},
                {".s", "time: invalid duration \".s\""},
                {"9999999999h", "time: invalid duration \"9999999999h\""},
                {"9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""},
                {"2562047h48m", "time: invalid duration \"2562047h48m\""},
                {"1\"s", "time: unknown unit \"\\\"s\" in duration \"1\\\"s\""},
                {"1é", "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\""},
                {"1s\n", "time: unknown unit \"s\\x0a\" in duration \"1s\\x0a\""}};
  for (const auto& c : kCases) {
    const auto parsed = ParseDuration(c.text);
    EXPECT_EQ(Message(parsed.status()), c.error);
  }
}

}  // namespace
}  // namespace strata::base
