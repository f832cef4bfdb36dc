#include "base/bytes.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

TEST(Bytes, HexAndBase64) {
  EXPECT_EQ(ToHex(std::string_view("\x00\xff\x10", 3)), "00ff10");
  EXPECT_EQ(ToBase64("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_EQ(FromBase64("YW55IGNhcm5hbCBwbGVhcw=="), "any carnal pleas");
  for (const char* bad : {"YQ", "YQ=", "Y Q=", "YR==", "!!!!", "YQ==\n"})
    EXPECT_EQ(FromBase64(bad), std::nullopt) << bad;
}

TEST(Bytes, PrintableKeepsTextAndReplacesWhatCouldForgeALine) {
  EXPECT_EQ(Printable("größe 🙂", 100), "größe 🙂");
  EXPECT_EQ(Printable("a\r\nb\x7f\x1b[0m", 100), "a??b??[0m");
  EXPECT_EQ(Printable("\xff\xc3(\xc2\x85", 100),
            "?"
            "?(?");
  EXPECT_EQ(Printable("abcdef", 3), "abc…");
  EXPECT_EQ(Printable("aö", 2), "a…");
}

}  // namespace
}  // namespace strata::base
