#include "lib/codec/time.h"

#include <gtest/gtest.h>

#include <limits>

namespace strata::codec {
namespace {

TEST(Time, TimesOutsideTheUsualAreStillTimes) {
  EXPECT_EQ(FormatDateTime(0), "1970-01-01T00:00:00");
  EXPECT_EQ(FormatDateTime(-1), "1969-12-31T23:59:59");
  EXPECT_EQ(FormatDateTime(951'782'400), "2000-02-29T00:00:00");
  EXPECT_EQ(FormatDateTime(-62'135'596'800), "0001-01-01T00:00:00");
  EXPECT_NE(FormatDateTime(std::numeric_limits<int64_t>::max()), "");
  EXPECT_NE(FormatDateTime(std::numeric_limits<int64_t>::min()), "");
}

TEST(Time, WhatIsFormattedParses) {
  for (int64_t seconds = -62'135'596'800; seconds < 253'402'300'800; seconds += 86'399'983) {
    const auto parsed = ParseTime(FormatDateTime(seconds) + "Z");
    ASSERT_TRUE(parsed.has_value()) << seconds;
    EXPECT_EQ(parsed->seconds, seconds);
  }
}

TEST(Time, ParsesAsGoDoes) {
  const struct {
    std::string_view text;
    int64_t seconds;
    int32_t nanos;
  } kGood[] = {
      {"1970-01-01T00:00:01Z", 1, 0},
      {"1970-01-01T01:00:01+01:00", 1, 0},
      {"1969-12-31T23:30:01-00:30", 1, 0},
      {"1970-01-01T00:00:01.5Z", 1, 500'000'000},
      {"1970-01-01T00:00:01.123456789999Z", 1, 123'456'789},
      {"2024-02-29T00:00:00Z", 1'709'164'800, 0},
  };
  for (const auto& c : kGood) {
    const auto parsed = ParseTime(c.text);
    ASSERT_TRUE(parsed.has_value()) << c.text;
    EXPECT_EQ(parsed->seconds, c.seconds) << c.text;
    EXPECT_EQ(parsed->nanos, c.nanos) << c.text;
  }
  for (const std::string_view bad :
       {"", "1970-01-01", "1970-01-01T00:00:01", "1970-01-01 00:00:01Z", "1970-13-01T00:00:01Z",
        "1970-00-01T00:00:01Z", "1970-01-00T00:00:01Z", "2023-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:01.Z", "1970-01-01T00:00:01+1:00", "1970-01-01T00:00:01+25:00",
        "1970-01-01T00:00:01Zx", "197-01-01T00:00:01Z", "+970-01-01T00:00:01Z",
        "1970-01-01T00:00:01+"}) {
    EXPECT_FALSE(ParseTime(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace strata::codec
