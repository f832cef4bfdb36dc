#include "server/layers/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/layers/test_records.h"

namespace strata::layers {
namespace {

std::string ConfigOf(const std::string& metadata,
                     const std::string& media_type = std::string(kDockerManifest)) {
  image_v1::Image image;
  image.set_docker_image_manifest_media_type(media_type);
  image.mutable_docker_image_metadata()->set_raw(metadata);
  const std::string bytes = codec::EncodeProtobuf(image);
  const auto record = DecodeImage(bytes);
  if (!record.ok()) return "error";
  return record->has_config ? record->config : "none";
}

TEST(Record, TheConfigIsTheMetadatasIdWhereTheMediaTypeHasOne) {
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})", std::string(kOciManifest)), "x");
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})", ""), "none");
  EXPECT_EQ(ConfigOf(R"({"Id":"x"})", "application/vnd.docker.distribution.manifest.v1+json"),
            "none");
  EXPECT_EQ(ConfigOf(R"({"ID":"x"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"id":"x"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"id":"a","Id":"x","ID":"b"})"), "x");
  EXPECT_EQ(ConfigOf(R"({"kind":"DockerImage","apiVersion":"image.openshift.io/pre012","id":"x",)"
                     R"("created":null,"container_config":{}})"),
            "x");
  for (const char* bad :
       {"", "null", "[]", "{", R"({"Id":5})", R"({"Config":{"Id":"x"}})", "not JSON"}) {
    EXPECT_EQ(ConfigOf(bad), "") << bad;
  }
}

TEST(Record, AnEmptyMediaTypeMeansDockerSchema2WithoutAConfig) {
  const auto record = DecodeImage(codec::EncodeProtobuf(image_v1::Image()));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->media_type, kDockerManifest);
  EXPECT_FALSE(record->has_config);
}

TEST(Record, StreamsNameEachImageOnceInStoredOrder) {
  const std::string bytes = StreamBytes("app", {"b", "", "a", "b", "c"});
  const auto record = DecodeStream(bytes);
  ASSERT_TRUE(record.ok());
  EXPECT_THAT(record->images, testing::ElementsAre("b", "a", "c"));
}

TEST(Record, EveryTruncationIsReadOrRefusedAndNeverMore) {
  for (const std::string& whole :
       {ImageBytes({"a", "b"}), ListBytes({"x"}), StreamBytes("app", {"i", "j"})}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      const std::string cut(whole, 0, size);
      (void)DecodeImage(cut);
      (void)DecodeStream(cut);
    }
  }
}

TEST(Record, MalformedBytesAreErrors) {
  const struct {
    std::string_view bytes;
  } kCases[] = {
      {"\x0a"},  // no length
      {"\x0a\x05"
       "ab"},                                                // length beyond the end
      {"\x0b"},                                              // a group
      {std::string_view("\x00\x00", 2)},                     // field 0
      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},  // a varint without end
      {"\x08\x01"},                                          // metadata that isn't a message
      {"\x32\x02\x0a\x09"},                                  // a layer that is cut
      {"\x1a\x02\x0a\x09"},                                  // a status, or metadata, that is cut
  };
  for (const auto& c : kCases) {
    EXPECT_FALSE(DecodeImage(c.bytes).ok());
    EXPECT_TRUE(c.bytes[0] == 0x32 || !DecodeStream(c.bytes).ok());
  }
}

}  // namespace
}  // namespace strata::layers
