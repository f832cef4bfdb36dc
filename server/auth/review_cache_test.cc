#include "server/auth/review_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::auth {
namespace {

using std::chrono::seconds;

class ReviewCaches : public testing::Test {
 protected:
  using Cache = ReviewCache<std::string>;

  // What the cache says at once, or "" while it waits for an answer.
  std::string Get(Cache& cache, const std::string& key, const std::string& user = "somebody") {
    const auto text = [](const Cache::Result& r) {
      return r.ok() ? **r : std::string(base::Message(r.status()));
    };
    const auto said = cache.Get(
        key, user, [&](const Cache::Answered& answered) { asked.push_back(answered); },
        [&]() -> Cache::Done {
          return [this, text](const Cache::Result& r) { heard.push_back(text(r)); };
        });
    return said ? text(*said) : "";
  }
  void Answer(const std::string& value, std::chrono::nanoseconds keep = seconds(10)) {
    auto answered = asked.front();
    asked.erase(asked.begin());
    answered(std::make_shared<const std::string>(value), keep);
  }

  base::FakeClock clock;
  std::vector<Cache::Answered> asked;
  std::vector<std::string> heard;
};

TEST_F(ReviewCaches, TheLeastRecentlyUsedMakesPlace) {
  Cache cache({.max_entries = 2}, clock);
  for (const char* key : {"a", "b"}) {
    Get(cache, key);
    Answer(key);
  }
  EXPECT_EQ(Get(cache, "a"), "a");
  Get(cache, "c");
  Answer("c");
  EXPECT_EQ(Get(cache, "a"), "a");
  EXPECT_EQ(Get(cache, "b"), "");
  EXPECT_EQ(cache.stats().entries, 2u);
}

TEST_F(ReviewCaches, TooManyWhoWaitAreRefused) {
  Cache cache({.max_waiting = 2}, clock);
  EXPECT_EQ(Get(cache, "a"), "");
  EXPECT_EQ(Get(cache, "a"), "");
  EXPECT_THAT(Get(cache, "b"), testing::HasSubstr("too many"));
  Answer("1");
  EXPECT_EQ(Get(cache, "b"), "");
  EXPECT_EQ(cache.stats().waiting, 1u);
}

TEST_F(ReviewCaches, WhoAsksForMuchLeavesRoomForOthers) {
  Cache cache({.max_waiting = 8}, clock);
  int in = 0;
  for (int i = 0; i < 8; ++i) in += Get(cache, "a" + std::to_string(i), "one").empty() ? 1 : 0;
  EXPECT_EQ(in, 6);
  EXPECT_EQ(Get(cache, "b", "another"), "");
}

TEST_F(ReviewCaches, WhatMayNotBeKeptIsToldToThoseWhoWaitAlone) {
  Cache cache({}, clock);
  Get(cache, "a");
  Answer("1", seconds(0));
  EXPECT_THAT(heard, testing::ElementsAre("1"));
  EXPECT_EQ(Get(cache, "a"), "");
}

}  // namespace
}  // namespace strata::auth
