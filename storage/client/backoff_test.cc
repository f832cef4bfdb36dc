#include "storage/client/backoff.h"

#include <gtest/gtest.h>

namespace strata::client {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToItsMostWithJitterInTheUpperHalf) {
  double random = 0;
  Backoff backoff({milliseconds(100), milliseconds(500), 2}, [&] { return random; });
  EXPECT_EQ(backoff.Next(), milliseconds(50));
  random = 0.5;
  EXPECT_EQ(backoff.Next(), milliseconds(150));
  EXPECT_EQ(backoff.Next(), milliseconds(300));
  random = 0.999;
  EXPECT_EQ(backoff.Next(), milliseconds(499));
  EXPECT_EQ(backoff.Next(), milliseconds(499));
  backoff.Reset();
  EXPECT_LE(backoff.Next(), milliseconds(100));
}

}  // namespace
}  // namespace strata::client
