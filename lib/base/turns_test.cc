#include "lib/base/turns.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace strata::base {
namespace {

class TurnsTest : public testing::Test {
 protected:
  bool Add(const std::string& what, const std::string& user) {
    return turns.TryAdd(std::string(what), user) != 0;
  }
  // Gives all places that may be given; what has got one.
  std::string Begin() {
    std::string begun;
    while (auto turn = turns.Next()) {
      begun += turn->what;
      held.push_back(*std::move(turn));
    }
    return begun;
  }
  void EndOldest() {
    turns.End(held.front());
    held.erase(held.begin());
  }

  Turns<std::string> turns{{.places = 3, .max_waiting = 6}};
  std::vector<Turns<std::string>::Turn> held;
};

TEST_F(TurnsTest, NobodyHasAllPlaces) {
  for (const char* what : {"a", "b", "c"}) EXPECT_TRUE(Add(what, "many"));
  EXPECT_EQ(Begin(), "ab");
  EXPECT_FALSE(turns.HasNext());
  EXPECT_TRUE(Add("x", "few"));
  EXPECT_EQ(Begin(), "x");
  EXPECT_TRUE(Add("y", "one"));
  EXPECT_EQ(Begin(), "") << "there is none left";
}

TEST_F(TurnsTest, UsersTakeTurnsInWhatIsFree) {
  for (const char* what : {"a", "b", "c"}) Add(what, "many");
  for (const char* what : {"x", "y"}) Add(what, "few");
  EXPECT_EQ(Begin(), "axb");
  EndOldest();
  EXPECT_EQ(Begin(), "y");
  EndOldest();
  EXPECT_EQ(Begin(), "c");
}

TEST_F(TurnsTest, AUserLeavesRoomForTheNext) {
  for (const char* what : {"a", "b", "c"}) EXPECT_TRUE(Add(what, "many"));
  EXPECT_FALSE(Add("d", "many"));
  EXPECT_TRUE(Add("x", "few"));
  EXPECT_EQ(Begin(), "axb");
  EXPECT_TRUE(Add("d", "many")) << "what has a place doesn't wait";
  EXPECT_EQ(turns.waiting(), 2u);
}

TEST_F(TurnsTest, WhatIsWithdrawnHasNoTurn) {
  const auto first = turns.TryAdd("a", "one");
  Add("b", "one");
  EXPECT_EQ(turns.Withdraw(first), "a");
  EXPECT_EQ(turns.Withdraw(first), std::nullopt);
  EXPECT_EQ(Begin(), "b");
}

}  // namespace
}  // namespace strata::base
