#include "lib/image/object_name.h"

#include <gtest/gtest.h>

namespace strata::image {
namespace {

TEST(ObjectName, IsOnePartOfAPathInTheLibrarysWords) {
  const struct {
    const char* name;
    const char* problem;
  } kCases[] = {
      {"app", ""},
      {"sha256:ab", ""},
      {"UPPER_case x", ""},
      {"...", ""},
      {".", "may not be '.'"},
      {"..", "may not be '..'"},
      {"a/b", "may not contain '/'"},
      {"a%2fb", "may not contain '%'"},
      {"%/", "may not contain '/';may not contain '%'"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(PathSegmentProblem(c.name), c.problem) << c.name;
    EXPECT_EQ(IsPathSegment(c.name), *c.problem == '\0') << c.name;
  }
}

}  // namespace
}  // namespace strata::image
