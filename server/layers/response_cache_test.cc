#include "server/layers/response_cache.h"

#include <gtest/gtest.h>

namespace strata::layers {
namespace {

class Cache : public testing::Test {
 protected:
  void Insert(const std::string& stream, size_t bytes, std::vector<NameId> images = {}, const Form& form = {}) {
    auto encoded = std::make_shared<Encoded>();
    encoded->body = std::string(bytes, 'x');
    std::vector<Gathered::Node> nodes;
    for (const NameId image : images) nodes.push_back({image, nullptr});
    cache.Insert(stream, form, encoded, nodes);
  }
  bool Has(const std::string& stream, const Form& form = {}) { return cache.Find(stream, form) != nullptr; }

  ResponseCache cache{100'000};
};

TEST_F(Cache, KeepsAnAnswerForEachForm) {
  const Form protobuf{{wire::MediaType::kProtobuf}};
  Insert("a", 10);
  EXPECT_TRUE(Has("a"));
  EXPECT_FALSE(Has("a", protobuf));
  Insert("a", 10, {}, protobuf);
  EXPECT_TRUE(Has("a", protobuf));
  EXPECT_EQ(cache.stats().answers, 2u);
}

TEST_F(Cache, DropsTheUsersOfAnImageAndNobodyElse) {
  Insert("a", 10, {1, 2});
  Insert("b", 10, {2});
  Insert("c", 10, {3});
  cache.DropUsersOf(2);
  EXPECT_FALSE(Has("a"));
  EXPECT_FALSE(Has("b"));
  EXPECT_TRUE(Has("c"));
  cache.DropUsersOf(1);
  cache.DropStream("c");
  cache.DropStream("unknown");
  EXPECT_EQ(cache.stats().bytes, 0u) << "what is dropped is no longer counted";
}

TEST_F(Cache, StaysWithinItsBytesAndKeepsWhatIsUsed) {
  Insert("hot", 20'000);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(Has("hot")) << i;
    Insert("cold-" + std::to_string(i), 20'000, {static_cast<NameId>(i + 1)});
    EXPECT_LE(cache.stats().bytes, 100'000u);
  }
  EXPECT_GT(cache.stats().evictions, 40u);
}

TEST_F(Cache, DoesNotKeepAnAnswerThatWouldPushOutMostOthers) {
  Insert("small", 10);
  Insert("huge", 60'000);
  EXPECT_TRUE(Has("small"));
  EXPECT_FALSE(Has("huge"));
}

}  // namespace
}  // namespace strata::layers
