#include "server/layers/response_cache.h"

#include <gtest/gtest.h>

namespace strata::layers {
namespace {

class Cache : public testing::Test {
 protected:
  void Insert(const std::string& stream, size_t bytes, const std::vector<NameId>& images = {},
              const Form& form = {}) {
    auto encoded = std::make_shared<Encoded>();
    encoded->body = std::string(bytes, 'x');
    Put(stream, encoded, images, form);
  }
  void Put(const std::string& stream, std::shared_ptr<const Encoded> encoded,
           const std::vector<NameId>& images, const Form& form = {}) {
    std::vector<Gathered::Node> nodes;
    Walk::Reach reach;
    for (const NameId image : images) {
      reach.try_emplace(image, static_cast<uint32_t>(nodes.size()));
      nodes.push_back({image, nullptr});
    }
    cache.Insert(stream, form, std::move(encoded), nodes, std::move(reach));
  }
  bool Has(const std::string& stream, const Form& form = {}) {
    return cache.Find(stream, form) != nullptr;
  }

  std::vector<NameId> Many(NameId from) {
    std::vector<NameId> images;
    for (NameId n = 0; n <= ResponseCache::kChained; ++n) images.push_back(from + n);
    return images;
  }

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

TEST_F(Cache, ABodyTooSmallToCompressServesThoseWhoTakeGzipAndThoseWhoDont) {
  Insert("a", 10, {}, {{}, true});
  EXPECT_TRUE(Has("a"));
  EXPECT_TRUE(Has("a", {{}, true}));
  EXPECT_EQ(cache.stats().answers, 1u);
  Insert("a", 10);
  EXPECT_EQ(cache.stats().answers, 1u);
}

TEST_F(Cache, ALargeBodyIsKeptInBothForms) {
  ResponseCache large(10 << 20);
  const auto encoded = [](size_t bytes, bool gzipped) {
    auto answer = std::make_shared<Encoded>();
    answer->body = std::string(bytes, 'x');
    answer->gzipped = gzipped;
    return answer;
  };
  large.Insert("a", {}, encoded(200'000, false), {}, {});
  EXPECT_EQ(large.Find("a", {{}, true}), nullptr);
  large.Insert("a", {{}, true}, encoded(10, true), {}, {});
  EXPECT_TRUE(large.Find("a", {{}, true})->gzipped);
  EXPECT_FALSE(large.Find("a", {})->gzipped);
}

TEST_F(Cache, ClearLeavesNothingAndWorksOn) {
  Insert("a", 10, {1, 2});
  Insert("b", 10, {2});
  cache.Clear();
  EXPECT_FALSE(Has("a"));
  EXPECT_EQ(cache.stats().bytes, 0u);
  EXPECT_EQ(cache.stats().answers, 0u);
  cache.DropUsersOf(2);
  Insert("a", 10, {2});
  EXPECT_TRUE(Has("a"));
  cache.DropUsersOf(2);
  EXPECT_FALSE(Has("a"));
}

TEST_F(Cache, WhatIsDroppedLivesUntilItIsTaken) {
  Insert("a", 10, {1});
  const std::weak_ptr<const Encoded> answer = cache.Find("a", {});
  cache.DropUsersOf(1);
  EXPECT_FALSE(answer.expired()) << "to be freed outside of the index's lock";
  { const auto dropped = cache.TakeDropped(); }
  EXPECT_TRUE(answer.expired());
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

TEST_F(Cache, AnAnswerOfManyImagesGoesWithAnyOfThem) {
  Insert("a", 10, Many(1));
  Insert("b", 10, Many(5000));
  Insert("c", 10, {7});
  cache.DropUsersOf(7);
  EXPECT_FALSE(Has("a"));
  EXPECT_TRUE(Has("b"));
  EXPECT_FALSE(Has("c"));
  cache.DropStream("b");
  EXPECT_EQ(cache.stats().bytes, 0u);
  Insert("a", 10, Many(1));
  cache.Clear();
  cache.DropUsersOf(7);
  EXPECT_EQ(cache.stats().bytes, 0u);
}

TEST_F(Cache, ARefusalIsEveryFormsAnswer) {
  auto refusal = std::make_shared<Encoded>();
  refusal->is_refusal = true;
  Put("a", refusal, {3});
  EXPECT_TRUE(Has("a"));
  EXPECT_TRUE(Has("a", {{wire::MediaType::kProtobuf}, true}));
  cache.DropUsersOf(3);
  EXPECT_FALSE(Has("a"));
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

TEST_F(Cache, TakesNothingInBeyondASixteenthWhileMemoryIsShort) {
  base::MemoryPressure memory;
  base::Limit limit = 160'000;
  limit.GiveWayTo(memory);
  ResponseCache narrow(limit);
  const auto insert = [&](const std::string& stream, size_t bytes) {
    auto encoded = std::make_shared<Encoded>();
    encoded->body = std::string(bytes, 'x');
    narrow.Insert(stream, {}, std::move(encoded), {}, {});
    return narrow.Find(stream, {}) != nullptr;
  };
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(insert("a" + std::to_string(i), 4'000));
  const size_t before = narrow.stats().bytes;
  memory.Set(true);
  EXPECT_FALSE(insert("b", 4'000));
  EXPECT_GE(narrow.stats().bytes, before - 14'000) << "little by little";
  for (int i = 0; i < 20; ++i) insert("b", 4'000);
  EXPECT_LE(narrow.stats().bytes, 10'000u);
  narrow.Clear();
  for (const char* const stream : {"c", "d", "e", "f", "g"}) EXPECT_TRUE(insert(stream, 4'000));
  EXPECT_LE(narrow.stats().bytes, 10'000u);
  EXPECT_FALSE(insert("h", 9'000)) << "more than half of it";
}

TEST_F(Cache, DoesNotKeepAnAnswerThatWouldPushOutMostOthers) {
  Insert("small", 10);
  Insert("huge", 60'000);
  EXPECT_TRUE(Has("small"));
  EXPECT_FALSE(Has("huge"));
}

}  // namespace
}  // namespace strata::layers
