#include "server/layers/segments.h"

#include <gtest/gtest.h>

#include <vector>

namespace strata::layers {
namespace {

TEST(Segments, ElementsStayWhereTheyAre) {
  Segments<uint32_t> segments;
  std::vector<const uint32_t*> places;
  for (uint32_t i = 0; i < 100'000; ++i) {
    segments.Extend(i);
    segments[i] = i;
    places.push_back(&segments[i]);
  }
  for (uint32_t i = 0; i < places.size(); ++i) {
    ASSERT_EQ(*places[i], i);
    ASSERT_EQ(&segments[i], places[i]);
  }
}

}  // namespace
}  // namespace strata::layers
