#include "lib/base/keyed_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "lib/base/string_map.h"

namespace strata::base {
namespace {

TEST(KeyedHash, TextsThatFallTogetherForAbslDont) {
  // salt[1] of low_level_hash.cc, where its last step takes 8 of 32 bytes.
  const std::string third("\x44\x73\x70\x03\x2e\x8a\x19\x13", 8);
  std::set<uint64_t> by_absl, by_key;
  for (int i = 0; i < 1000; ++i) {
    std::string digest = std::to_string(1'000'000 + i);
    digest.resize(16, '\0');
    digest += third + "12345678";
    by_absl.insert(StringHash()(digest));
    by_key.insert(KeyedHash(digest));
  }
  EXPECT_LT(by_absl.size(), 10u) << "its maps hold what nobody chooses freely, or not much of it";
  EXPECT_EQ(by_key.size(), 1000u);
}

TEST(KeyedHash, TheSameBytesHaveTheSameHash) {
  EXPECT_EQ(KeyedHash("sha256:0"), KeyedHash(std::string("sha256:") + "0"));
  EXPECT_NE(KeyedHash(""), KeyedHash(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace strata::base
