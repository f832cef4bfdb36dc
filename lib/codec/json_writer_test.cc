#include "lib/codec/json_writer.h"

#include <gtest/gtest.h>

#include <limits>

namespace strata::codec {
namespace {

TEST(JsonWriter, CommasStandBetweenWhatFollowsOneAnother) {
  std::string out;
  JsonWriter json(out);
  json.OpenObject();
  json.Name<"a">();
  json.Number(1);
  json.OpenList<"list">();
  json.Number(std::numeric_limits<int64_t>::min());
  json.String("<:");
  json.OpenList();
  json.CloseList();
  json.OpenObject();
  json.Name("k\"{");
  json.OpenList();
  json.CloseList();
  json.PlainString<"plain">("[");
  json.CloseObject();
  json.Value() += "null";
  json.CloseList();
  json.OpenObject<"empty">();
  json.CloseObject();
  json.Name<"b.c/d">();
  json.Value() += "true";
  json.CloseObject();
  EXPECT_EQ(out,
            R"({"a":1,"list":[-9223372036854775808,"\u003c:",[],{"k\"{":[],"plain":"["},null],)"
            R"("empty":{},"b.c/d":true})");
  std::string compact;
  EXPECT_TRUE(AppendCompact(out, compact));
  EXPECT_EQ(compact, out);
}

TEST(JsonWriter, MembersOfAnotherWriterStandAmongItsOwn) {
  std::string members;
  JsonWriter other(members);
  other.Name<"x">();
  other.String("1");
  other.Name<"y">();
  other.Number(2);
  EXPECT_EQ(members, R"("x":"1","y":2)");

  std::string out = "before ";
  JsonWriter json(out);
  json.OpenObject();
  json.Members("");
  json.Members(members);
  json.Members("");
  json.Members(members);
  json.CloseObject();
  EXPECT_EQ(out, R"(before {"x":"1","y":2,"x":"1","y":2})");
}

}  // namespace
}  // namespace strata::codec
