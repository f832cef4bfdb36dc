#include "storage/client/patience.h"

#include <gtest/gtest.h>

namespace strata::client {
namespace {

using std::chrono::milliseconds;

TEST(Patience, IsTwiceWhatTheLastOpeningTookWithinItsBounds) {
  Patience patience({milliseconds(1000), milliseconds(5000)});
  EXPECT_EQ(patience.time(), milliseconds(1000));
  patience.Note(milliseconds(700));
  EXPECT_EQ(patience.time(), milliseconds(1400));
  patience.Note(patience.time());
  EXPECT_EQ(patience.time(), milliseconds(2800));
  patience.Note(patience.time());
  EXPECT_EQ(patience.time(), milliseconds(5000));
  patience.Note(milliseconds(1));
  EXPECT_EQ(patience.time(), milliseconds(1000));
}

TEST(Patience, IsNoLongerThanItsMost) {
  EXPECT_EQ(Patience({milliseconds(1000), milliseconds(300)}).time(), milliseconds(300));
}

}  // namespace
}  // namespace strata::client
