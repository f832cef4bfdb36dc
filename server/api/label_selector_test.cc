#include "server/api/label_selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <vector>

namespace strata::api {
namespace {

LabelSelector::Labels Labels(const std::map<std::string, std::string>& labels) {
  return {labels.begin(), labels.end()};
}

TEST(LabelSelector, MatchesAsUpstream) {
  const LabelSelector::Labels labels =
      Labels({{"app", "web"}, {"n", "5"}, {"empty", ""}, {"in", "x"}, {"a.b/c", "1.2-3_4"}});
  const struct {
    std::string_view selector;
    bool matches;
  } kCases[] = {
      {"", true},
      {"  ", true},
      {"app", true},
      {"!app", false},
      {"none", false},
      {"!none", true},
      {"! none", true},
      {"app=web", true},
      {"app==web", true},
      {" app = web ", true},
      {"app=db", false},
      {"app!=web", false},
      {"app!=db", true},
      {"none!=x", true},
      {"empty=", true},
      {"empty==,app", true},
      {"app=", false},
      {"app!=", true},
      {"app in (web)", true},
      {"app in(db,web)", true},
      {"app in (db)", false},
      {"none in (x)", false},
      {"app notin (db)", true},
      {"app notin (db,web)", false},
      {"none notin (x)", true},
      {"empty in ()", true},
      {"app in ()", false},
      {"empty in (,)", true},
      {"empty in (x,)", true},
      {"app in (x,,web)", true},
      {"in in (in,x)", true},
      {"in", true},
      {"notin notin (notin)", true},
      {"a.b/c=1.2-3_4", true},
      {"n>4", true},
      {"n>5", false},
      {"n < 6", true},
      {"n<05", false},
      {"app>1", false},
      {"none<1", false},
      {"app=web,n>4,!none", true},
      {"app=web,app!=web", false},
      {std::string_view("app\0=web", 8), true},
      {std::string_view("app=web\0,none", 13), false},
      {std::string_view("app \0,none", 10), true},
  };
  for (const auto& c : kCases) {
    const auto selector = LabelSelector::Parse(c.selector);
    ASSERT_TRUE(selector.ok()) << c.selector << ": " << selector.status();
    EXPECT_EQ(selector->Matches(labels), c.matches) << c.selector;
  }
}

TEST(LabelSelector, ComparesNumbersOfLabelsThatAreNone) {
  const LabelSelector selector = *LabelSelector::Parse("n<3");
  EXPECT_TRUE(selector.Matches(Labels({{"n", "-9223372036854775808"}})));
  EXPECT_TRUE(selector.Matches(Labels({{"n", "+2"}})));
  EXPECT_FALSE(selector.Matches(Labels({{"n", "-9223372036854775809"}})));
  EXPECT_FALSE(selector.Matches(Labels({{"n", ""}})));
}

constexpr char kName[] =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr char kPrefix[] =
    "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
    "'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr char kValue[] =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

// Texts of k8s.io/apimachinery 0.34.
TEST(LabelSelector, RefusesInUpstreamsWords) {
  const std::string unable = "unable to parse requirement: ";
  const std::string no_key = unable + "<nil>: Invalid value: ";
  const std::string long_key(64, 'k'), long_prefix(254, 'p'), long_value(64, 'v');
  const struct {
    std::string selector, error;
  } kCases[] = {
      {"=", "found '=', expected: !, identifier, or 'end of string'"},
      {"==", "found '==', expected: !, identifier, or 'end of string'"},
      {",a", "found ',', expected: !, identifier, or 'end of string'"},
      {"a,", "found '', expected: identifier after ','"},
      {"a=b,,c", "found ',', expected: identifier after ','"},
      {"!a=b", "found '=', expected: ',' or 'end of string'"},
      {"a=b c", "found 'c', expected: ',' or 'end of string'"},
      {"!", unable + "found '', expected: identifier"},
      {"!!a", unable + "found '!', expected: identifier"},
      {"a==>x", unable + "found '>', expected: identifier"},
      {"a===x", unable + "found '=', expected: identifier"},
      {"a=!x", unable + "found '!', expected: identifier"},
      {"a b", unable + "found 'b', expected: in, notin, =, ==, !=, gt, lt"},
      {"a !b", unable + "found '!', expected: in, notin, =, ==, !=, gt, lt"},
      {"a (b)", unable + "found '(', expected: in, notin, =, ==, !=, gt, lt"},
      {"a in b", unable + "found 'b' expected: '('"},
      {"a in", unable + "found '' expected: '('"},
      {"a in (=)", unable + "found '=', expected: ',', ')' or identifier"},
      {"a in (", unable + "found '', expected: ',', ')' or identifier"},
      {"a in (b", unable + "found '', expected: ',' or ')'"},
      {"a in (b c)", unable + "found 'c', expected: ',' or ')'"},
      {"a in (b,", unable + "found '', expected: ',', or identifier"},
      {"a in (,,)", unable + "found ')', expected: ',', or identifier"},
      {"a in (b,=)", unable + "found '=', expected: ',', or identifier"},
      {"-a", no_key + R"("-a": )" + kName},
      {"a/b/c", no_key + R"("a/b/c": a qualified )" + std::string(kName).replace(4, 5, "") +
                    " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"},
      {"/a", no_key + R"("/a": prefix part must be non-empty)"},
      {"a/", no_key + R"("a/": name part must be non-empty; )" + kName},
      {"A.b/c", no_key + R"("A.b/c": )" + kPrefix},
      {"a..b/-", no_key + R"("a..b/-": )" + kPrefix + "; " + kName},
      {long_key, no_key + '"' + long_key + R"(": name part must be no more than 63 characters)"},
      {long_prefix + "/a",
       no_key + '"' + long_prefix + R"(/a": prefix part must be no more than 253 characters)"},
      {"a\xff\"", no_key + R"("a\xff\"": )" + kName},
      {"a=" + long_value, unable + "values[0][a]: Invalid value: \"" + long_value +
                              "\": must be no more than 63 characters"},
      {"a=b.", unable + R"(values[0][a]: Invalid value: "b.": )" + kValue},
      {"a in (c,$,b,%,$)", unable + R"([values[0][a]: Invalid value: "$": )" + kValue +
                               R"(, values[1][a]: Invalid value: "%": )" + kValue + "]"},
      {"a>b",
       unable + R"(values[0]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an )"
                "integer"},
      {"a<-1", unable + R"(values[0][a]: Invalid value: "-1": )" + kValue},
      {"a>", unable +
                 R"(values[0]: Invalid value: "": for 'Gt', 'Lt' operators, the value must be an )"
                 "integer"},
      {"a>b.",
       unable +
           R"([values[0]: Invalid value: "b.": for 'Gt', 'Lt' operators, the value must be )"
           R"(an integer, values[0][a]: Invalid value: "b.": )" +
           kValue + "]"},
  };
  for (const auto& c : kCases) {
    const auto selector = LabelSelector::Parse(c.selector);
    ASSERT_FALSE(selector.ok()) << c.selector;
    EXPECT_EQ(base::Message(selector.status()), c.error);
  }
}

TEST(LabelSelector, CopiesHoldNothingOfTheirOwn) {
  std::string text = "a in (b";
  for (size_t i = 1; i < LabelSelector::kMaxValues; ++i) text += ",b" + std::to_string(i);
  const auto selector = LabelSelector::Parse(text + ")");
  ASSERT_TRUE(selector.ok());
  std::vector<LabelSelector> copies;
  copies.reserve(100);
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 100; ++i) copies.push_back(*selector);
  EXPECT_LE(mallinfo2().uordblks, before + 10'000);
  EXPECT_TRUE(copies.back().Matches(Labels({{"a", "b999"}})));
}

TEST(LabelSelector, IsBounded) {
  std::string text = "a";
  for (size_t i = 1; i < LabelSelector::kMaxRequirements; ++i) text += ",!b";
  EXPECT_TRUE(LabelSelector::Parse(text).ok());
  EXPECT_EQ(base::Message(LabelSelector::Parse(text + ",a").status()),
            "more than 100 requirements in a label selector");

  // Also those that say nothing new, and of several sets together.
  std::string same = "a in (b";
  for (size_t i = 1; i < LabelSelector::kMaxValues; ++i) same += ",b";
  EXPECT_TRUE(LabelSelector::Parse(same + ")").ok());
  for (const std::string_view more : {",b)", ",,b)", "),a notin (b)", "),a in (,)"}) {
    const auto refused = LabelSelector::Parse(same + std::string(more));
    ASSERT_FALSE(refused.ok()) << more;
    EXPECT_THAT(base::Message(refused.status()),
                testing::HasSubstr("more than 1000 values in a label selector"));
  }

  std::string values = "a in (";
  for (int i = 0; i < 900; ++i) values += "$" + std::to_string(i) + ",";
  const auto wrong = LabelSelector::Parse(values + "x)");
  ASSERT_FALSE(wrong.ok());
  EXPECT_LT(base::Message(wrong.status()).size(), 50'000);
}

}  // namespace
}  // namespace strata::api
