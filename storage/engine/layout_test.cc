#include "storage/engine/layout.h"

#include <gtest/gtest.h>

#include <vector>

#include "lib/base/bytes.h"

namespace strata::engine {
namespace {

TEST(Layout, OrdersIndexKeysAsTheKeysAndVersionsNewestFirst) {
  const std::vector<std::string> keys = {std::string("\0", 1),
                                         std::string("\0\0", 2),
                                         std::string("\0\x01", 2),
                                         std::string("\0\xff", 2),
                                         std::string("\x01", 1),
                                         "a",
                                         std::string("a\0", 2),
                                         std::string("a\0\0", 3),
                                         std::string("a\0", 2) + std::string(300, '\0'),
                                         std::string("a", 1) + std::string(400, '\0') + "\x01",
                                         std::string("a", 1) + std::string(300, '\0') + "\xff",
                                         std::string("a", 1) + std::string(257, '\0') + "\xff",
                                         std::string("a", 1) + std::string(3, '\0') + "b",
                                         std::string("a\0\0\x01", 4),
                                         std::string("a\0\x01", 3),
                                         std::string("a\0\x01\0", 4),
                                         std::string("a\0\x01\0\x01", 5),
                                         "aa",
                                         "b",
                                         "\xff"};
  std::string last;
  for (const std::string& key : keys) {
    EXPECT_LE(last, IndexLowerBound(key));
    last = IndexLowerBound(key);
    for (const Revision revision : {int64_t{1} << 62, int64_t{1} << 40, int64_t{2}, int64_t{1}}) {
      const std::string encoded = IndexKey(key, revision);
      EXPECT_LT(last, encoded);
      last = encoded;
      const auto parts = ParseIndexKey(encoded);
      ASSERT_TRUE(parts);
      EXPECT_EQ(Unescape(parts->escaped), key);
      EXPECT_EQ(parts->revision, revision);
    }
    EXPECT_LT(last, IndexAfter(key));
    EXPECT_EQ(AfterEscaped(IndexLowerBound(key)), IndexAfter(key));
    last = IndexAfter(key);
  }
}

TEST(Layout, IsWhatEarlierVersionsWrote) {
  EXPECT_EQ(base::ToHex(HistoryKey({0x0102, 3})), "000000000000010200000003");
  EXPECT_EQ(base::ToHex(IndexKey("ab", 1)), "616200010000fffffffffffffffe");
  EXPECT_EQ(base::ToHex(EncodeHistory({.kind = Kind::kPut,
                                       .create_revision = 2,
                                       .version = 3,
                                       .lease = 4,
                                       .key = "k",
                                       .value = "v"})),
            "00000000000000000200000000000000030000000000000004000000016b76");
  EXPECT_EQ(
      base::ToHex(EncodeIndex(
          {.kind = Kind::kTombstone, .sub = 1, .create_revision = 2, .version = 3, .lease = 4})),
      "0100000001000000000000000200000000000000030000000000000004");
}

TEST(Layout, RefusesBytesThatItDidNotWrite) {
  EXPECT_FALSE(ParseHistoryKey("short"));
  EXPECT_FALSE(ParseHistory(""));
  EXPECT_FALSE(ParseHistory(std::string(29, '\xff'))) << "a key that is longer than the bytes";
  EXPECT_FALSE(ParseIndexKey("12345678901"));
  EXPECT_FALSE(ParseIndexKey("no end mark here"));
  EXPECT_FALSE(ParseIndex(std::string(28, '\0')));
  EXPECT_FALSE(ParseIndex(std::string(29, '\x02'))) << "a kind that isn't known";
  EXPECT_FALSE(ParseNumber("1234567"));
}

TEST(Layout, RefusesNumbersThatCannotBeCountedOn) {
  constexpr int64_t kMost = int64_t{1} << 62;
  const struct {
    int64_t number;
    bool count;
  } kCases[] = {{0, true},          {1, true},   {kMost, true},     {kMost + 1, false},
                {INT64_MAX, false}, {-1, false}, {INT64_MIN, false}};
  for (const auto& c : kCases) {
    EXPECT_EQ(ParseHistoryKey(HistoryKey({c.number, 0})).has_value(), c.count) << c.number;
    EXPECT_EQ(ParseIndexKey(IndexKey("key", c.number)).has_value(), c.count) << c.number;
    EXPECT_EQ(ParseIndex(EncodeIndex({.create_revision = c.number})).has_value(), c.count);
    EXPECT_EQ(ParseIndex(EncodeIndex({.version = c.number})).has_value(), c.count) << c.number;
    EXPECT_EQ(ParseHistory(EncodeHistory({.create_revision = c.number})).has_value(), c.count);
    EXPECT_EQ(ParseHistory(EncodeHistory({.version = c.number})).has_value(), c.count) << c.number;
  }
}

TEST(Layout, TakesKeysUpToWhatLmdbCanHold) {
  EXPECT_TRUE(KeyFits(std::string(480, 'k')));
  EXPECT_FALSE(KeyFits(std::string(481, 'k')));
  EXPECT_TRUE(KeyFits(std::string(480, '\0')));
  EXPECT_TRUE(KeyFits("k" + std::string(478, '\0') + "k"));
  std::string zeros;
  for (int i = 0; i < 240; ++i) zeros += std::string("k\0", 2);
  EXPECT_FALSE(KeyFits(zeros)) << "single ones make it longer";
  EXPECT_LE(IndexKey(std::string(480, 'k'), 1).size(), 511u);
}

}  // namespace
}  // namespace strata::engine
