#include "server/api/field_selector.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

namespace strata::api {
namespace {

TEST(FieldSelector, HasItsTermsInTheOrderOfTheirText) {
  const struct {
    std::string_view selector, terms;
  } kCases[] = {
      {"", ""},
      {",,", ""},
      {"f=x", "f=x;"},
      {"f==x", "f=x;"},
      {"f!=x", "f!x;"},
      {"f=", "f=;"},
      {"=x", "=x;"},
      {"=,!=,f=1", "f=1;"},
      {"!=x", "!x;"},
      {"!f=x", "!f=x;"},
      {" f= x", " f= x;"},
      {"f=!x", "f=!x;"},
      {"f=y,f==x", "f=x;f=y;"},
      {"g=1,f=2,", "f=2;g=1;"},
      {R"(f=a\,b\=c\\)", R"(f=a,b=c\;)"},
      {"f=\xff", "f=\xff;"},
      {"f=\xff\\,", "f=\xEF\xBF\xBD,;"},
  };
  for (const auto& c : kCases) {
    const auto selector = FieldSelector::Parse(c.selector);
    ASSERT_TRUE(selector.ok()) << c.selector << ": " << selector.status();
    std::string terms;
    for (const auto& term : selector->terms())
      terms += fmt::format("{}{}{};", term.field, term.equal ? '=' : '!', term.value);
    EXPECT_EQ(terms, c.terms) << c.selector;
    EXPECT_EQ(selector->empty(), terms.empty());
  }
}

TEST(FieldSelector, RefusesInUpstreamsWords) {
  const struct {
    std::string_view selector, error;
  } kCases[] = {
      {"f", "invalid selector: 'f'; can't understand 'f'"},
      {"f!x", "invalid selector: 'f!x'; can't understand 'f!x'"},
      {"z,f=x,g", "invalid selector: 'z,f=x,g'; can't understand 'g'"},
      {R"(f=a\b)", R"(invalid field selector: invalid escape sequence: \b)"},
      {R"(f=a\ü)", R"(invalid field selector: invalid escape sequence: \ü)"},
      {R"(f=a\)", R"(invalid field selector: invalid escape sequence: \)"},
      {"f=a=b", "invalid field selector: unescaped character in value: 61"},
      {"f===b", "invalid field selector: unescaped character in value: 61"},
      {R"(f\,=b)", ""},
      {R"(z=a=b,f=\)", R"(invalid field selector: invalid escape sequence: \)"},
      {R"(f=\,z=a)", R"(invalid field selector: unescaped character in value: 61)"},
  };
  for (const auto& c : kCases) {
    const auto selector = FieldSelector::Parse(c.selector);
    EXPECT_EQ(base::Message(selector.status()), c.error) << c.selector;
  }
}

TEST(FieldSelector, MatchesWhatAnObjectHas) {
  const std::map<std::string, std::string> object = {{"f", "x"}, {"g", ""}};
  const auto get = [&](const std::string& field) { return object.at(field); };
  EXPECT_TRUE(FieldSelector().Matches(get));
  for (const char* yes : {"f=x", "f!=y", "g=", "f=x,g=", "f!=,g!=x"})
    EXPECT_TRUE(FieldSelector::Parse(yes)->Matches(get)) << yes;
  for (const char* no : {"f=y", "f!=x", "g!=", "f=x,g=x", "f=x,f=y"})
    EXPECT_FALSE(FieldSelector::Parse(no)->Matches(get)) << no;
}

TEST(FieldSelector, SaysWhatItDemandsOfAField) {
  EXPECT_EQ(FieldSelector::Parse("g=1,f=x")->RequiresExactMatch("f"), "x");
  EXPECT_EQ(FieldSelector::Parse("f=y,f=x")->RequiresExactMatch("f"), "x");
  EXPECT_EQ(FieldSelector::Parse("f=")->RequiresExactMatch("f"), "");
  EXPECT_EQ(FieldSelector::Parse("f!=x")->RequiresExactMatch("f"), std::nullopt);
  EXPECT_EQ(FieldSelector::Parse("g=x")->RequiresExactMatch("f"), std::nullopt);
  EXPECT_EQ(FieldSelector("f", "a,b").RequiresExactMatch("f"), "a,b");
}

TEST(FieldSelector, NamesTheFirstFieldThatThereIsNot) {
  const std::vector<std::string> known = {"f", "g"};
  EXPECT_EQ(FieldSelector::Parse("g=1,f!=x")->FirstUnknown(known), nullptr);
  const auto selector = FieldSelector::Parse("z=1,f=x,b=2");
  const std::string* unknown = selector->FirstUnknown(known);
  ASSERT_NE(unknown, nullptr);
  EXPECT_EQ(*unknown, "b");
}

TEST(FieldSelector, CopiesShareTheirTerms) {
  const auto selector = FieldSelector::Parse("f=1,g=2");
  const FieldSelector copy = *selector;
  EXPECT_EQ(copy.terms().data(), selector->terms().data());
  EXPECT_EQ(copy.terms().size(), 2u);
}

TEST(FieldSelector, IsBounded) {
  std::string text = "f=1";
  for (size_t i = 1; i < FieldSelector::kMaxTerms; ++i) text += ",f=1";
  EXPECT_TRUE(FieldSelector::Parse(text).ok());
  EXPECT_FALSE(FieldSelector::Parse(text + ",f=1").ok());
}

}  // namespace
}  // namespace strata::api
