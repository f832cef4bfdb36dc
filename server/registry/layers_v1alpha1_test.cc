#include "server/registry/layers_v1alpha1.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <variant>

#include "proto/layers/v1alpha1/layers.pb.h"

namespace strata::registry {
namespace {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

// The row of an object given as protobuf's text, with `|` between its cells.
template <typename Object>
std::string Row(const Resource& resource, const std::string& text) {
  Object object;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &object)) << text;
  const image::Cells cells = resource.table->cells(object, {});
  EXPECT_EQ(cells.size(), resource.table->columns.size());
  std::string row;
  for (const image::Cell& cell : cells) {
    if (&cell != &cells.front()) row += '|';
    if (const auto* value = std::get_if<std::string>(&cell)) row += *value;
    if (const auto* value = std::get_if<int64_t>(&cell)) row += std::to_string(*value);
    if (std::holds_alternative<std::monostate>(cell)) row += "null";
  }
  return row;
}

std::string SizeOf(int64_t bytes) {
  const std::string row =
      Row<v1alpha1::Blob>(Blobs(), "size: " + std::to_string(bytes) + " media_type: 't'");
  return row.substr(1, row.find('|', 1) - 1);
}

TEST(LayersTables, SizesHaveThreeDigitsOrFourAndAUnit) {
  const std::pair<int64_t, const char*> kCases[] = {
      {0, "0B"},
      {1023, "1023B"},
      {1024, "1.0KiB"},
      {1023 * 1024, "1023.0KiB"},
      {1024 * 1024 - 1, "1.0MiB"},
      {87'450'000, "83.4MiB"},
      {int64_t{3} << 30, "3.0GiB"},
      {INT64_MAX, "8.0EiB"},
      {-1, "-1B"},
  };
  for (const auto& [bytes, text] : kCases) EXPECT_EQ(SizeOf(bytes), text);
}

TEST(LayersTables, AStreamCountsWhatIsThere) {
  EXPECT_EQ(Row<v1alpha1::ImageStreamLayers>(LayersOfImageStreams(), R"(
              metadata { name: 'web' }
              blobs { key: 'a' value { size: 1024 } }
              blobs { key: 'b' value { size: 512 } }
              blobs { key: 'config' value { media_type: 'c' } }
              images { key: 'i' value { layers: 'a' } }
              images { key: 'gone' value { image_missing: true } })"),
            "web|1|2|1.5KiB|1");
}

TEST(LayersTables, AStreamsSizeEndsAtTheMostThatCanBeSaid) {
  EXPECT_EQ(Row<v1alpha1::ImageStreamLayers>(LayersOfImageStreams(), R"(
              metadata { name: 'web' }
              blobs { key: 'a' value { size: 9223372036854775807 } }
              blobs { key: 'b' value { size: 9223372036854775807 } }
              blobs { key: 'c' value { size: -5 } })"),
            "web|0|3|8.0EiB|0");
}

TEST(LayersTables, AnImageShowsItsFirstTagAndHowManyMoreThereAre) {
  EXPECT_EQ(Row<v1alpha1::ImageLayers>(LayersOfImages(), R"(
              metadata { name: 'sha256:1' } media_type: 'm' size: 2048
              layers {} layers {}
              base { layers: 1 images: 'sha256:0123456789abcdef' images: 'x' }
              streams { namespace: 'a' name: 'old' earlier_tags: 'v1' }
              streams { namespace: 'a' name: 'web' tags: 'v2' tags: 'v3' }
              streams { namespace: 'b' name: 'web' tags: 'v2' })"),
            "sha256:1|2|2.0KiB|a/web:v2 + 2 more...|sha256:0123456789ab + 1 more...|m");
  EXPECT_EQ(Row<v1alpha1::ImageLayers>(LayersOfImages(), "unreadable: 'torn'"),
            "|0|0B|||unreadable: torn");
}

TEST(LayersTables, ABlobOfUnknownSizeHasNone) {
  EXPECT_EQ(Row<v1alpha1::Blob>(Blobs(), R"(
              metadata { name: 'sha256:1' } media_type: 'config'
              images { name: 'i' as: 'Config' } images { name: 'j' as: 'Config' }
              streams { namespace: 'a' name: 'web' })"),
            "sha256:1|null|config|2|1");
}

TEST(LayersTables, ANamespaceShowsWhatItTakes) {
  EXPECT_EQ(Row<v1alpha1::LayerUsage>(LayerUsages(), R"(
              metadata { name: 'shop' namespace: 'shop' }
              image_streams: 3 images: 12 layers: 40 size: 3072 unique_size: 1024
              shared_size: 2048 missing_images: 2 unreadable_images: 1
              unreadable_image_streams: 4)"),
            "shop|3|12|40|3.0KiB|1.0KiB|2.0KiB|2|5");
}

TEST(LayersResources, SayWhatTheyAre) {
  EXPECT_EQ(LayersOfImageStreams().qualified(), "imagestreamlayers.layers.strata.dev");
  EXPECT_EQ(LayersOfImages().type_meta().api_version, "layers.strata.dev/v1alpha1");
  EXPECT_EQ(Blobs().kind, "Blob");
}

}  // namespace
}  // namespace strata::registry
