#include "server/layers/tags.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace strata::layers {
namespace {

using Plain = std::vector<std::pair<std::string, std::vector<uint32_t>>>;

TEST(Tags, AreDecodedAsTheyWereEncoded) {
  const std::string name(200, 'n');
  const std::vector<Tag> kCases[] = {
      {},
      {{"latest", {}}},
      {{"", {0}}, {"v1", {1, 0, 2, 1}}},
      {{name, {127, 128, 16'384, UINT32_MAX}}, {"v1", {}}, {"v1", {3}}},
  };
  for (const std::vector<Tag>& tags : kCases) {
    Plain expected, decoded;
    for (const Tag& tag : tags) expected.emplace_back(tag.name, tag.images);
    ForEachTag(EncodeTags(tags),
               [&](const Tag& tag) { decoded.emplace_back(tag.name, tag.images); });
    EXPECT_EQ(decoded, expected);
  }
}

}  // namespace
}  // namespace strata::layers
