#include "server/api/quote.h"

#include <gtest/gtest.h>

namespace strata::api {
namespace {

TEST(Quote, QuotesAsGoDoes) {
  const struct {
    std::string_view text, quoted;
  } kCases[] = {
      {"", R"("")"},
      {"app", R"("app")"},
      {"a b", R"("a b")"},
      {R"(a"b\c)", R"("a\"b\\c")"},
      {std::string_view("\0\a\b\t\n\v\f\r\x1b\x7f", 10), R"("\x00\a\b\t\n\v\f\r\x1b\x7f")"},
      {"é世😀", "\"é世😀\""},
      {"\xff\xe4\xb8", R"("\xff\xe4\xb8")"},
      {"\xed\xa0\x80", R"("\xed\xa0\x80")"},  // half of a surrogate pair
      {"\xc2\x85\xc2\xa0\xc2\xad", R"("\u0085\u00a0\u00ad")"},
      {"\xe2\x80\xa8\xe2\x80\xae", R"("\u2028\u202e")"},
      {"\xef\xbb\xbf\xef\xbf\xbd", "\"\\ufeff\xef\xbf\xbd\""},
      {"\xf3\xa0\x81\x81", R"("\U000e0041")"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Quote(c.text), c.quoted);
}

}  // namespace
}  // namespace strata::api
