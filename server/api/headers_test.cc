#include "server/api/headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::api {
namespace {

std::string IdFor(const std::string& sent) {
  http::Headers headers;
  headers.Add("audit-id", sent);
  return AuditId(headers);
}

TEST(Headers, TheFrontProxysAuditIdIsKept) {
  EXPECT_EQ(IdFor("2ff97f08-4085-487b-b371-b38e4c8bf4b6"), "2ff97f08-4085-487b-b371-b38e4c8bf4b6");
}

TEST(Headers, OthersGetAUuidOfTheirOwn) {
  for (const std::string& unfit :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string(65, 'x')}) {
    EXPECT_THAT(IdFor(unfit),
                testing::MatchesRegex(
                    "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  }
  EXPECT_NE(AuditId({}), AuditId({}));
}

TEST(Headers, TheTraceIsReadFromATraceparentOfTheRightForm) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", rest = "-00f067aa0ba902b7-01";
  EXPECT_EQ(TraceId("00-" + trace + rest), trace);
  EXPECT_EQ(TraceId("01-" + trace + rest + "-more"), trace);
  for (const std::string& bad :
       {std::string(), "00-" + trace, "00-" + trace + rest + "-more", "ff-" + trace + rest,
        "00-" + std::string(32, '0') + rest, "00-" + std::string(32, 'G') + rest,
        "00_" + trace + rest, "00-" + trace + rest + "x"})
    EXPECT_EQ(TraceId(bad), "") << bad;
}

TEST(Headers, NothingOfATraceparentIsSentAlongThatIsNotUnderstood) {
  const std::string known = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto sent_along = [](const std::string& given) {
    http::Headers headers;
    headers.Add("traceparent", given);
    return TraceParent(headers);
  };
  EXPECT_EQ(sent_along("00" + known), "00" + known);
  for (const std::string more : {"", "-", "-more", "-\xff", "-\t", "-\x01"})
    EXPECT_EQ(sent_along("01" + known + more), "00" + known) << more;
  EXPECT_EQ(sent_along("ff" + known), "");
  EXPECT_EQ(TraceParent({}), "");
}

TEST(Headers, WarningsAreQuotedAndCut) {
  http::Headers headers;
  AddWarnings({"a \"b\"\r\nX: y", std::string(300, 'w')}, headers);
  const auto values = headers.All("warning");
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0], "299 - \"a \\\"b\\\"??X: y\"");
  EXPECT_LT(values[1].size(), 280u);
}

}  // namespace
}  // namespace strata::api
