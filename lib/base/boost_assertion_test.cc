#include "lib/base/boost_assertion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::base {
namespace {

using ::testing::ThrowsMessage;

TEST(BoostAssertion, IsThrownWithItsPlace) {
  const char* const file = "/usr/include/boost/beast/http/impl/basic_parser.ipp";
  EXPECT_THAT([&] { boost::assertion_failed("n >= 5", "put", file, 702); },
              ThrowsMessage<BoostAssertion>("basic_parser.ipp:702: n >= 5"));
  EXPECT_THAT([&] { boost::assertion_failed_msg("n >= 5", "too short", "put", file, 702); },
              ThrowsMessage<BoostAssertion>("basic_parser.ipp:702: n >= 5 (too short)"));
}

}  // namespace
}  // namespace strata::base
