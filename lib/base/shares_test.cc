#include "lib/base/shares.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace strata::base {
namespace {

using Claim = Shares::Claim;

// As many places as `user` gets.
std::vector<Shares::Share> TakeAll(Shares& shares, const std::string& user) {
  std::vector<Shares::Share> places;
  while (auto place = shares.Take(user, Claim::kFair)) places.push_back(*std::move(place));
  return places;
}

TEST(Shares, AloneAUserHasMostAndTheNextHasRoom) {
  Shares shares(400);
  const auto first = TakeAll(shares, "a");
  EXPECT_EQ(first.size(), 300u);
  const auto second = TakeAll(shares, "b");
  EXPECT_EQ(second.size(), 75u);
  EXPECT_FALSE(shares.Take("a", Claim::kFair));
  EXPECT_TRUE(shares.Take("c", Claim::kFair));
  EXPECT_EQ(shares.taken(), 375);
}

TEST(Shares, UsersWhoseNamesFallTogetherInOneTableAreOneEach) {
  const std::string greedy = "a";
  const auto full = Shares::PlacesOf(greedy);
  for (const size_t table : {0, 1}) {
    std::string other;
    for (int i = 0; other.empty(); ++i) {
      const auto places = Shares::PlacesOf(std::to_string(i));
      if (places[table] == full[table] && places[1 - table] != full[1 - table])
        other = std::to_string(i);
    }
    Shares shares(400);
    const auto first = TakeAll(shares, greedy);
    EXPECT_EQ(TakeAll(shares, other).size(), 75u);
  }
}

TEST(Shares, WhatIsGivenBackIsThereForOthers) {
  Shares shares(4);
  {
    const auto all = TakeAll(shares, "a");
    EXPECT_EQ(all.size(), 3u);
  }
  EXPECT_EQ(shares.taken(), 0);
  EXPECT_EQ(TakeAll(shares, "b").size(), 3u);
}

TEST(Shares, AUserAloneOnASmallServerIsServed) {
  for (const int limit : {1, 2, 3}) {
    Shares shares(limit);
    EXPECT_EQ(TakeAll(shares, "a").size(), static_cast<size_t>(limit)) << limit;
  }
}

TEST(Shares, TheExemptAreNeverTurnedAwayAndWithoutALimitNobodyIs) {
  Shares shares(2);
  const auto all = TakeAll(shares, "a");
  EXPECT_FALSE(shares.Take("b", Claim::kFair));
  EXPECT_TRUE(shares.Take("b", Claim::kExempt));
  Shares endless(Shares::kEndless);
  std::vector<Shares::Share> places;
  for (int i = 0; i < 10'000; ++i) places.push_back(endless.Take("a", Claim::kFair).value());
}

TEST(Shares, WhatIsLargeIsSharedAsWhatIsMany) {
  constexpr int64_t kLimit = 1'000;
  struct {
    const char* user;
    int64_t amount;
    bool gets;
  } asked[] = {
      {"a", 600, true}, {"a", 200, false},  // a has most of it, but not all
      {"a", 150, true}, {"b", 251, false},  // more than is left
      {"b", 250, true}, {"b", 1, false},   {"c", 1, false},
  };
  Shares shares(kLimit);
  std::vector<Shares::Share> all;
  for (const auto& [user, amount, gets] : asked) {
    auto share = shares.Take(user, Claim::kFair, amount);
    EXPECT_EQ(share.has_value(), gets) << user << " " << amount;
    if (share) all.push_back(*std::move(share));
  }
  EXPECT_EQ(shares.taken(), kLimit);
  all.clear();
  EXPECT_EQ(shares.taken(), 0);
  EXPECT_TRUE(shares.Take("a", Claim::kFair, kLimit)) << "who has nothing may take all at once";
}

TEST(Shares, ThreadsTakeNoMoreThanThereAre) {
  Shares shares(1000);
  std::atomic<int64_t> most = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const auto places = TakeAll(shares, std::to_string(t));
        most = std::max(most.load(), shares.taken());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shares.taken(), 0);
  EXPECT_LE(most, 1000 + 3) << "who is refused is counted for a moment";
}

}  // namespace
}  // namespace strata::base
