#include "storage/reflector/key_range.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "test/support/random.h"

namespace strata::reflector {
namespace {

using testing_support::Random;

std::vector<client::KeyValue> Keys(const std::vector<std::string>& names) {
  std::vector<client::KeyValue> keys;
  for (const std::string& name : names) keys.push_back({.key = name, .value = ""});
  return keys;
}

// That the parts are `range`, without a gap and without an overlap.
void ExpectNeighbours(const KeyRange& range, const std::vector<KeyRange>& parts) {
  ASSERT_FALSE(parts.empty());
  EXPECT_EQ(parts.front().begin, range.begin);
  EXPECT_EQ(parts.back().end, range.end);
  for (const KeyRange& part : parts) EXPECT_LT(part.begin, part.end);
  for (size_t i = 1; i < parts.size(); ++i) EXPECT_EQ(parts[i].begin, parts[i - 1].end);
}

std::string RandomKey(Random& random, size_t most) {
  // Of few letters, so that prefixes are shared, and of the extreme ones.
  constexpr std::string_view kLetters("\0\x01/a\x7f\x80\xfe\xff", 8);
  std::string key;
  for (auto size = random.Below(most + 1); size > 0; --size) {
    key.push_back(kLetters[random.Below(kLetters.size())]);
  }
  return key;
}

TEST(KeyRange, TheKeyAfterAKeyIsTheNextOne) {
  EXPECT_EQ(After("a"), std::string("a\0", 2));
  EXPECT_EQ(After(""), std::string("\0", 1));
}

TEST(KeyRange, PartsAreNeighboursWhateverTheKeys) {
  Random random(1, 2, 3);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> names;
    for (auto count = 1 + random.Below(5); count > 0; --count)
      names.push_back(RandomKey(random, 12));
    std::sort(names.begin(), names.end());
    KeyRange range{After(names.back()), RandomKey(random, 12)};
    if (range.begin >= range.end) continue;
    const size_t most = 1 + random.Below(16);
    const auto parts = Divide(range, Keys(names), most);
    ExpectNeighbours(range, parts);
    EXPECT_LE(parts.size(), most);
  }
}

TEST(KeyRange, KeysThatEndWhereTheRangeBeginsTellNothing) {
  const KeyRange range{After("k"), std::string("k\0\0x", 4)};
  const auto parts = Divide(range, Keys({"k"}), 8);
  ASSERT_EQ(parts.size(), 1u);
  ExpectNeighbours(range, parts);
}

TEST(KeyRange, OnePartIsTheRange) {
  const auto parts = Divide({"b", "z"}, Keys({"a"}), 1);
  ASSERT_EQ(parts.size(), 1u);
}

// How many requests reading `names` in pages of `limit` takes, as the lister does it, and how many
// keys the backend passes for them.
struct Effort {
  size_t requests = 0, passed = 0;
};
Effort EffortFor(const std::vector<std::string>& names, size_t limit) {
  Effort effort;
  std::vector<KeyRange> ranges = {{"/openshift.io/images/", "/openshift.io/imagestreams0"}};
  size_t seen = 0;
  while (!ranges.empty()) {
    const KeyRange range = ranges.back();
    ranges.pop_back();
    const auto first = std::lower_bound(names.begin(), names.end(), range.begin);
    const auto end = std::lower_bound(names.begin(), names.end(), range.end);
    const auto count = static_cast<size_t>(end - first);
    ++effort.requests;
    effort.passed += count;
    seen += std::min(count, limit);
    if (count <= limit) continue;
    const std::vector<std::string> found(first, first + static_cast<std::ptrdiff_t>(limit));
    const size_t rest = count - limit;
    const auto parts = Divide({After(found.back()), range.end}, Keys(found),
                              rest <= limit ? 1 : std::min<size_t>(16, 1 + rest * 4 / (3 * limit)));
    ranges.insert(ranges.end(), parts.rbegin(), parts.rend());
  }
  EXPECT_EQ(seen, names.size());
  return effort;
}

TEST(KeyRange, DigestsAreDividedEvenly) {
  Random random(1, 2, 3);
  std::vector<std::string> names;
  for (int i = 0; i < 50'000; ++i) names.push_back("/openshift.io/images/sha256:" + random.Hex(64));
  for (int i = 0; i < 5'000; ++i) {
    names.push_back("/openshift.io/imagestreams/team-" + std::to_string(i % 100) + "/app-" +
                    std::to_string(i));
  }
  std::sort(names.begin(), names.end());
  const Effort effort = EffortFor(names, 500);
  EXPECT_LT(effort.requests, 3 * names.size() / 500);
  EXPECT_LT(effort.passed, 8 * names.size()) << "one range, page by page: 55 times";
}

// Whatever the names, no more is passed than when one range is read front to back, and requests
// that find nothing are few.
TEST(KeyRange, NamesThatNobodyGuessesCostLittleMore) {
  std::vector<std::string> powers, equal, deep;
  for (int i = 0; i < 200; ++i) {
    powers.push_back("/openshift.io/images/" + std::string(static_cast<size_t>(i), 'a'));
    equal.push_back("/openshift.io/images/" + std::string(300, 'x') + std::to_string(1000 + i));
    deep.push_back("/openshift.io/images" + std::string(static_cast<size_t>(200 - i), '/') + "b");
  }
  for (auto names : {powers, equal, deep}) {
    std::sort(names.begin(), names.end());
    const Effort effort = EffortFor(names, 10);
    EXPECT_LE(effort.requests, 17 * names.size() / 10);
    EXPECT_LE(effort.passed, names.size() * names.size() / 10);
  }
}

}  // namespace
}  // namespace strata::reflector
