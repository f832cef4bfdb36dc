#include "lib/base/status.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

StatusOr<int> Half(int n) {
  if (n % 2 != 0) return InvalidArgumentError("odd");
  return n / 2;
}

StatusOr<int> Quarter(int n) {
  STRATA_ASSIGN_OR_RETURN(const int half, Half(n));
  STRATA_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST(Status, AssignOrReturnPassesTheErrorToTheCaller) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Message(Quarter(6).status()), "odd");
}

TEST(Status, AnnotateKeepsTheCodeAndPutsTheContextFirst) {
  const Status status = Annotate(NotFoundError("no such key"), "get /a");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "get /a: no such key");
  EXPECT_TRUE(Annotate(OkStatus(), "get /a").ok());
}

}  // namespace
}  // namespace strata::base
