#include "server/api/field_selector.h"

#include <gtest/gtest.h>

namespace strata::api {
namespace {

TEST(FieldSelector, RequiresTheValueOfTheFirstTermThatFits) {
  const struct {
    std::string_view selector;
    std::optional<std::string> wanted;
  } kCases[] = {
      {"", {}},
      {"f=x", "x"},
      {"f==x", "x"},
      {"f=", ""},
      {"f!=x", {}},
      {"g=x", {}},
      {" f=x", {}},
      {"!f=x", {}},
      {"f=x,f=y", "x"},
      {",,g=1,f=x,", "x"},
      {R"(f=a\,b\=c\\)", R"(a,b=c\)"},
      {R"(f=a\b)", {}},
      {R"(f=a\)", {}},
      {"f=a=b", {}},
      {"f===b", {}},
      {"f=x,oops", {}},
      {"oops,f=x", {}},
      {"f=x,g=a=b", {}},
  };
  for (const auto& c : kCases) EXPECT_EQ(RequiredValue(c.selector, "f"), c.wanted) << c.selector;
}

}  // namespace
}  // namespace strata::api
