#include "lib/transport/http/response_head.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace strata::http {
namespace {

TEST(ResponseHead, ControlsBecomeSpacesWhereverTheyStand) {
  for (int c = 0; c < 256; ++c) {
    for (size_t at = 0; at < 20; ++at) {
      std::string value(20, at % 2 == 0 ? ' ' : '\x80');
      value[at] = static_cast<char>(c);
      std::string wanted = value;
      std::replace_if(wanted.begin(), wanted.end(), IsControl, ' ');
      ReplaceControls(value);
      EXPECT_EQ(value, wanted) << c << " " << at;
    }
  }
}

}  // namespace
}  // namespace strata::http
