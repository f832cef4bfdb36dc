#include "lib/base/memo.h"

#include <gtest/gtest.h>

#include <string>

namespace strata::base {
namespace {

TEST(Memo, AnAnswerStaysUntilAnotherTakesItsPlace) {
  Memo<std::string, int, 4> memo;
  const auto find = [&](size_t hash, const std::string& question) {
    const auto found = memo.Find(hash, [&](const std::string& kept) { return kept == question; });
    return found == nullptr ? 0 : *found;
  };
  EXPECT_EQ(find(1, ""), 0) << "an empty place answers nothing";
  memo.Keep(1, "one", std::make_shared<const int>(1));
  memo.Keep(2, "two", std::make_shared<const int>(2));
  EXPECT_EQ(find(1, "one"), 1);
  EXPECT_EQ(find(2, "two"), 2);
  EXPECT_EQ(find(5, "five"), 0) << "it has one's place, and isn't one";
  memo.Keep(5, "five", std::make_shared<const int>(5));
  EXPECT_EQ(find(5, "five"), 5);
  EXPECT_EQ(find(1, "one"), 0);
  EXPECT_EQ(find(2, "two"), 2);
}

}  // namespace
}  // namespace strata::base
