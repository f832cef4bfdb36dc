#include "lib/base/bytes.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

TEST(Bytes, HexAndBase64) {
  EXPECT_EQ(ToHex(std::string_view("\x00\xff\x10", 3)), "00ff10");
  EXPECT_EQ(ToBase64("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_EQ(FromBase64("YW55IGNhcm5hbCBwbGVhcw=="), "any carnal pleas");
  EXPECT_EQ(ToBase64Url("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw");
  EXPECT_EQ(ToBase64Url("\xfb\xff"), "-_8");
}

// The verdicts are those of Go's encoding/base64 (StdEncoding.DecodeString).
TEST(Bytes, Base64IsReadAsGoReadsIt) {
  const std::pair<std::string_view, std::string_view> kTaken[] = {
      {"", ""},
      {"\r\n", ""},
      {"YQ==\n", "a"},
      {"\n\nYQ==", "a"},
      {"Y\nQ\r\n=\n=\n", "a"},
      {"YWJj\nZGVm\n", "abcdef"},
      {"YWJj\r\nZGU=\r\n", "abcde"},
      {"YR==", "a"},  // bits that padding leaves
      {"YWJ=", "ab"},
      {"YWL=", "ab"},
      {"+/+/", "\xfb\xff\xbf"},
  };
  for (const auto& [text, bytes] : kTaken) EXPECT_EQ(FromBase64(text), bytes) << text;
  for (const std::string_view bad :
       {std::string_view("YQ"),    std::string_view("YQ="),       std::string_view("Y Q="),
        std::string_view("YQ== "), std::string_view(" YQ=="),     std::string_view("YQ==\t"),
        std::string_view("YQ==="), std::string_view("YQ==YQ=="),  std::string_view("YWJjYQ==YWJj"),
        std::string_view("Y==="),  std::string_view("===="),      std::string_view("="),
        std::string_view("YQ=a"),  std::string_view("Y=Q="),      std::string_view("YQ.."),
        std::string_view("-_-_"),  std::string_view("YWJj\0", 5), std::string_view("!!!!"),
        std::string_view("YWJjZ"), std::string_view("YWJj\v")}) {
    EXPECT_EQ(FromBase64(bad), std::nullopt) << bad;
  }
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
