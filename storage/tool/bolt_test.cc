#include "storage/tool/bolt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace strata::tool {
namespace {

using testing::HasSubstr;

// As bbolt itself wrote it: 12 revisions, a lease, a compaction; pages of 512 bytes.
std::string Sample() {
  std::ifstream file("test/fuzz/corpus/storage_tool_bolt/etcd.db", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int CountOf(const Bolt& bolt, const std::string& bucket) {
  int count = 0;
  std::string before;
  EXPECT_TRUE(bolt.ForEach(bucket,
                           [&](std::string_view key, std::string_view) {
                             EXPECT_LT(before, key);
                             before = key;
                             ++count;
                             return base::OkStatus();
                           })
                  .ok());
  return count;
}

TEST(BoltFiles, AreReadBucketByBucketInOrder) {
  const std::string file = Sample();
  const auto bolt = Bolt::Open(file);
  ASSERT_TRUE(bolt.ok()) << bolt.status();
  EXPECT_EQ(CountOf(*bolt, "key"), 12);
  EXPECT_EQ(CountOf(*bolt, "lease"), 1) << "an inline bucket";
  EXPECT_EQ(CountOf(*bolt, "meta"), 1);
  EXPECT_TRUE(absl::IsNotFound(
      bolt->ForEach("none", [](std::string_view, std::string_view) { return base::OkStatus(); })));
}

TEST(BoltFiles, OneMetaPageOfTwoIsEnough) {
  std::string file = Sample();
  file[16 + 20] = static_cast<char>(file[16 + 20] ^ 1);
  // The second is looked for after a page of the usual size, or of that of the first.
  const auto bolt = Bolt::Open(file);
  EXPECT_THAT(base::Message(bolt.status()), HasSubstr("a meta page's checksum is wrong"));
  std::string other = Sample();
  other[512 + 16 + 20] = static_cast<char>(other[512 + 16 + 20] ^ 1);
  EXPECT_TRUE(Bolt::Open(other).ok());
}

TEST(BoltFiles, ThatAreCutOrSomethingElseSaySo) {
  EXPECT_FALSE(IsBolt("SQLite format 3"));
  EXPECT_FALSE(IsBolt(""));
  const std::string file = Sample();
  EXPECT_TRUE(IsBolt(file));
  EXPECT_THAT(base::Message(Bolt::Open("x").status()), HasSubstr("no bbolt database"));
  for (size_t length = 20; length < 4000; length += 100) {
    const auto bolt = Bolt::Open(std::string_view(file).substr(0, length));
    if (!bolt.ok()) continue;
    const auto read =
        bolt->ForEach("key", [](std::string_view, std::string_view) { return base::OkStatus(); });
    EXPECT_THAT(base::Message(read), HasSubstr("the database is damaged")) << length;
  }
}

}  // namespace
}  // namespace strata::tool
