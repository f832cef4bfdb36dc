#include "lib/base/ascii.h"

#include <gtest/gtest.h>

#include <vector>

namespace strata::base {
namespace {

TEST(Ascii, OnlyItsOwnLettersHaveACase) {
  EXPECT_EQ(Lower("AZ[az@Ä"), "az[az@Ä");
  EXPECT_TRUE(EqualsIgnoringCase("ChUnKeD", "chunked"));
  EXPECT_TRUE(EqualsIgnoringCase("", ""));
  for (const std::string_view other : {"chunke", "chunkedd", "chunk\xC5\x44", "CHUNK[D", ""})
    EXPECT_FALSE(EqualsIgnoringCase(other, "chunked")) << other;
  EXPECT_FALSE(EqualsIgnoringCase("@", "`")) << "they differ as letters of two cases do";
}

TEST(Ascii, TrimTakesWhatIsNamedFromTheEndsAlone) {
  EXPECT_EQ(Trim("  a b  "), "a b");
  EXPECT_EQ(Trim("\t a"), "\t a");
  EXPECT_EQ(Trim("\t a\t", " \t"), "a");
  for (const std::string_view nothing : {"", " ", "   "}) EXPECT_EQ(Trim(nothing), "");
}

TEST(Ascii, APartIsTakenWithItsSeparator) {
  const auto parts = [](std::string_view list) {
    std::vector<std::string_view> all;
    while (!list.empty()) all.push_back(TakeUntil(',', list));
    return all;
  };
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(parts(""), Parts());
  EXPECT_EQ(parts("a"), Parts({"a"}));
  EXPECT_EQ(parts("a,b"), Parts({"a", "b"}));
  EXPECT_EQ(parts(",a,,b,"), Parts({"", "a", "", "b"}));
}

}  // namespace
}  // namespace strata::base
