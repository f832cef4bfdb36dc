#include "server/api/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::api {
namespace {

TEST(Query, ReadsPairsAsGoDoes) {
  const Query query("a=1&b&c=&a=2&d=x%20y+z&%65=e&=empty");
  EXPECT_EQ(query.Find("a"), "1");
  EXPECT_THAT(query.All("a"), testing::ElementsAre("1", "2"));
  EXPECT_EQ(query.Find("b"), "");
  EXPECT_EQ(query.Find("c"), "");
  EXPECT_EQ(query.Find("d"), "x y z");
  EXPECT_EQ(query.Find("e"), "e");
  EXPECT_EQ(query.Find("none"), std::nullopt);
}

TEST(Query, DropsPairsWithSemicolonsAndBadEscapes) {
  const Query query("pretty=true;x=1&a=%zz&%f=1&b=%4&c=3");
  EXPECT_EQ(query.Find("pretty"), std::nullopt);
  EXPECT_EQ(query.Find("a"), std::nullopt);
  EXPECT_EQ(query.Find("b"), std::nullopt);
  EXPECT_EQ(query.Find("c"), "3");
  EXPECT_FALSE(query.empty());
  EXPECT_TRUE(Query("a;b&%zz&&").empty());
  EXPECT_FALSE(Query("a").empty());
}

TEST(Query, EscapesAtTheEndAreDecoded) {
  EXPECT_EQ(Unescape("a%41", false), "aA");
}

TEST(Query, HoldsSoManyPairsAtMost) {
  std::string text = "a=1";
  for (int i = 0; i < 3'000; ++i) text += "&a";
  EXPECT_EQ(Query(text + "&b=2").All("a").size(), 100u);
}

TEST(WithoutToken, LeavesOutWhatAccessTokenIsAndNothingElse) {
  const struct {
    const char *target, *shown;
  } kCases[] = {
      {"", ""},
      {"/a", "/a"},
      {"/access_token=x", "/access_token=x"},
      {"/a?", "/a?"},
      {"/a?b=c&d", "/a?b=c&d"},
      {"/a?access_token=x", "/a?access_token=redacted"},
      {"/a?access_token=", "/a?access_token=redacted"},
      {"/a?access_token", "/a?access_token"},
      {"/a?access_token&b=x", "/a?access_token&b=x"},
      {"/a?b=c&access_token=x=y&d=e", "/a?b=c&access_token=redacted&d=e"},
      {"/a?access_token=x&access_token=y", "/a?access_token=redacted&access_token=redacted"},
      {"/a?access%5ftoken=x&%61ccess_token=y",
       "/a?access%5ftoken=redacted&%61ccess_token=redacted"},
      {"/a?b=c;access_token=x;d=e", "/a?b=c;access_token=redacted;d=e"},
      {"/a?b?access_token=x", "/a?b?access_token=x"},
      {"/a?access_tokens=x&xaccess_token=x", "/a?access_tokens=x&xaccess_token=x"},
  };
  for (const auto& c : kCases) EXPECT_EQ(WithoutToken(c.target), c.shown);
}

}  // namespace
}  // namespace strata::api
