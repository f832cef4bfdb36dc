#include "server/layers/entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace strata::layers {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// However its layers are packed, an entry gives them back as they were.
TEST(ImageEntry, GivesBackWhatItWasMadeOf) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::vector<ImageEntry::Layer> kCases[] = {
      {},
      {{10, 1, 5}},
      {{10, 1, 5}, {11, 1, UINT32_MAX}},
      {{10, 1, 5}, {11, 2, 0}, {10, 1, 5}},
      {{10, 1, int64_t{UINT32_MAX} + 1}, {11, 1, 7}},
      {{10, 1, -1}, {11, 2, kMost}, {12, kNoName, -kMost - 1}},
  };
  for (const auto& layers : kCases) {
    for (const std::vector<NameId>& manifests : {std::vector<NameId>(), {20, 21, 20}}) {
      Recycler recycler;
      const ImagePointer entry = ImageEntry::Make(
          recycler,
          {.name = 2, .media_type = 3, .config = 4, .layers = layers, .manifests = manifests});
      EXPECT_EQ(entry->name(), 2u);
      EXPECT_EQ(entry->media_type(), 3u);
      EXPECT_EQ(entry->config(), 4u);
      EXPECT_TRUE(entry->usable());
      ASSERT_EQ(entry->layer_names().size(), layers.size());
      for (size_t i = 0; i < layers.size(); ++i) {
        EXPECT_EQ(entry->layer_names()[i], layers[i].name);
        EXPECT_EQ(entry->layer(i).name, layers[i].name);
        EXPECT_EQ(entry->layer(i).media_type, layers[i].media_type);
        EXPECT_EQ(entry->layer(i).size, layers[i].size);
      }
      EXPECT_EQ(std::vector<NameId>(entry->manifests().begin(), entry->manifests().end()),
                manifests);
    }
  }
}

TEST(ImageEntry, ReturnsEachReferenceThatItTook) {
  Recycler recycler;
  {
    const ImagePointer entry =
        ImageEntry::Make(recycler, {.name = 2,
                                    .media_type = 3,
                                    .config = 4,
                                    .layers = {{10, 1, 5}, {11, 1, 6}, {10, 1, 5}},
                                    .manifests = {20}});
    EXPECT_THAT(recycler.Take(), ElementsAre());
  }
  EXPECT_THAT(recycler.Take(), UnorderedElementsAre(2, 3, 4, 10, 1, 11, 1, 10, 1, 20));
}

TEST(ImageEntry, AnUnreadableOneHasAReasonAndNothingElse) {
  Recycler recycler;
  const ImagePointer entry =
      ImageEntry::Make(recycler, {.name = 2, .unreadable = 9, .layers = {}, .manifests = {}});
  EXPECT_FALSE(entry->usable());
  EXPECT_EQ(entry->unreadable(), 9u);
  EXPECT_EQ(entry->media_type(), kNoName);
  EXPECT_TRUE(entry->layer_names().empty());
}

TEST(StreamEntry, KeepsKeyAndMetadataOrKeyAndReason) {
  Recycler recycler;
  {
    const StreamPointer entry = StreamEntry::Make(recycler, "ns/app", 7, "metadata", {5, 6});
    EXPECT_EQ(entry->key(), "ns/app");
    EXPECT_EQ(entry->metadata(), "metadata");
    EXPECT_TRUE(entry->usable());
    EXPECT_THAT(entry->images(), ElementsAre(5, 6));
  }
  EXPECT_THAT(recycler.Take(), ElementsAre(5, 6));
  const StreamPointer entry = StreamEntry::MakeUnreadable(recycler, "ns/app", 7, "broken");
  EXPECT_EQ(entry->key(), "ns/app");
  EXPECT_EQ(entry->unreadable(), "broken");
  EXPECT_EQ(entry->metadata(), "");
  EXPECT_FALSE(entry->usable());
}

}  // namespace
}  // namespace strata::layers
