#include "server/layers/tags.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace strata::layers {
namespace {

// Of each image the names, with a + before those that point at it now.
std::vector<std::string> Decoded(const std::string& encoded, uint32_t images) {
  std::vector<std::string> decoded;
  for (uint32_t place = 1; place <= images; ++place) {
    std::string& line = decoded.emplace_back();
    ForEachTagOf(place, encoded, [&](std::string_view name, bool is_newest) {
      line.append(is_newest ? "+" : "").append(name).append(" ");
    });
  }
  return decoded;
}

using Lines = std::vector<std::string>;

TEST(Tags, AreThoseOfEachImageOnceInTheirOrder) {
  EXPECT_EQ(EncodeTags({}, 0), "");
  EXPECT_EQ(EncodeTags({}, 1), "");
  const std::vector<Tag> empty = {{"latest", {}}, {"", {0}}};
  EXPECT_EQ(Decoded(EncodeTags(empty, 0), 0), Lines());
  const std::string name(200, 'n');
  const std::vector<Tag> tags = {{name, {2, 1}}, {"", {}}, {"v1", {1, 0, 2, 1}}, {"v2", {0, 2}}};
  EXPECT_EQ(Decoded(EncodeTags(tags, 3), 3), Lines({name + " +v1 ", "+" + name + " v1 v2 ", ""}));
}

TEST(Tags, OfManyImagesAreEachItsOwn) {
  constexpr uint32_t kImages = 1000;
  std::vector<Tag> tags = {{"all", {}}};
  std::vector<std::string> names(kImages);
  Lines expected;
  for (uint32_t place = 1; place <= kImages; ++place) {
    tags.front().images.push_back(place);
    names[place - 1] = std::to_string(place);
    tags.push_back({names[place - 1], {place}});
    expected.push_back((place == 1 ? "+all +" : "all +") + names[place - 1] + " ");
  }
  EXPECT_EQ(Decoded(EncodeTags(tags, kImages), kImages), expected);
}

}  // namespace
}  // namespace strata::layers
