#include "codec/decode_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "codec/encode_json.h"
#include "codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"

namespace strata::codec {
namespace {

namespace image = ::github::com::openshift::api::image::v1;

std::string ErrorOf(std::string_view json) {
  image::ImageStream stream;
  return std::string(base::Message(DecodeJson(json, stream).status()));
}

TEST(DecodeJson, ReadsWhatTheEncoderPrints) {
  const std::string_view json =
      R"({"kind":"Image","apiVersion":"image.openshift.io/v1","metadata":{"name":"sha256:a",)"
      R"("creationTimestamp":"2023-11-14T22:13:20Z","labels":{"a":"\u003c"},)"
      R"("managedFields":[{"manager":"m","fieldsV1":{"f:x":{}}}]},"dockerImageMetadata":{"Id":"x","n":1.50},)"
      R"("dockerImageLayers":[{"name":"sha256:l","size":9007199254740993,"mediaType":"t"}],)"
      R"("signatures":[{"metadata":{},"type":"t","content":"AQI=","issuedBy":{"commonName":"c"}}]})";
  image::Image message;
  const auto type = DecodeJson(json, message);
  ASSERT_TRUE(type.ok()) << type.status();
  EXPECT_EQ(type->kind, "Image");
  EXPECT_EQ(type->api_version, "image.openshift.io/v1");
  EXPECT_EQ(message.signatures(0).content(), "\x01\x02");
  EXPECT_EQ(EncodeJson(message, {type->kind, type->api_version}), json);

  image::Image copy;
  ASSERT_TRUE(copy.ParseFromString(EncodeProtobuf(message)));
  EXPECT_EQ(EncodeJson(copy, {type->kind, type->api_version}), json);
}

TEST(DecodeJson, RawMembersKeepTheirBytes) {
  image::Image message;
  ASSERT_TRUE(DecodeJson("{\"dockerImageMetadata\": {\"b\" : 1.0,\n \"a\":[ ]} }", message).ok());
  EXPECT_EQ(message.docker_image_metadata().raw(), "{\"b\" : 1.0,\n \"a\":[ ]}");
}

TEST(DecodeJson, IsTolerantWhereGoIs) {
  image::ImageStream stream;
  ASSERT_TRUE(DecodeJson(R"({"Metadata":{"name":"wrong case"},"x":[{"y":{}}],"metadata":{"name":"a","name":"b",)"
                         R"("labels":null,"creationTimestamp":null},"spec":null})",
                         stream)
                  .ok());
  EXPECT_EQ(stream.metadata().name(), "b");
  ASSERT_TRUE(DecodeJson("{\"metadata\":{\"name\":\"\xff\"}}", stream).ok());
  EXPECT_EQ(stream.metadata().name(), "\xEF\xBF\xBD");
}

TEST(DecodeJson, TimesTakeOffsetsAndFractions) {
  image::ImageStream stream;
  ASSERT_TRUE(DecodeJson(R"({"metadata":{"creationTimestamp":"2023-11-15T00:13:20.75+02:00"}})", stream).ok());
  EXPECT_EQ(stream.metadata().creation_timestamp().seconds(), 1'700'000'000);
  EXPECT_EQ(stream.metadata().creation_timestamp().nanos(), 0);
}

TEST(DecodeJson, ErrorsNameTheField) {
  const struct {
    std::string_view json, error;
  } kCases[] = {
      {"", "malformed JSON"},
      {"[]", "expected an object, got a list"},
      {"12", "expected an object, got a number"},
      {"{} {}", "malformed JSON"},
      {"{\"x\":tru}", "x: malformed JSON"},
      {R"({"metadata":{"name":5}})", "metadata.name: expected a string, got a number"},
      {R"({"metadata":[]})", "metadata: expected an object, got a list"},
      {R"({"metadata":{"generation":1.5}})", "metadata.generation: expected a whole number of 64 bits, got a number"},
      {R"({"metadata":{"creationTimestamp":"yesterday"}})", "metadata.creationTimestamp: expected a time"},
      {R"({"metadata":{"creationTimestamp":"2023-02-29T00:00:00Z"}})", "metadata.creationTimestamp: expected a time"},
      {R"({"spec":{"tags":[{"name":"a"},{"name":true}]}})", "spec.tags[1].name: expected a string, got a boolean"},
      {R"({"metadata":{"labels":{"a":{}}}})", "metadata.labels.a: expected a string, got an object"},
      {R"({"spec":{"tags":{}}})", "spec.tags: expected a list, got an object"},
      {R"({"spec":{"lookupPolicy":{"local":"yes"}}})", "spec.lookupPolicy.local: expected a boolean, got a string"},
  };
  for (const auto& c : kCases) EXPECT_THAT(ErrorOf(c.json), testing::HasSubstr(c.error)) << c.json;
}

TEST(DecodeJson, DepthBombsAreErrors) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string bomb = "{\"x\":";
    for (int i = 0; i < 100'000; ++i) bomb += open;
    EXPECT_NE(ErrorOf(bomb), "");
  }
}

TEST(DecodeJson, ItemsOfAListAreHandedOutAsText) {
  std::vector<std::string> items;
  ASSERT_TRUE(ForEachItem(R"({"kind":"List","items":[{"a":1},{"b":[2]}],"metadata":{}})",
                          [&](std::string_view item) { items.emplace_back(item); })
                  .ok());
  EXPECT_THAT(items, testing::ElementsAre(R"({"a":1})", R"({"b":[2]})"));
  EXPECT_FALSE(ForEachItem(R"({"items":[1]})", [](std::string_view) {}).ok());
}

TEST(DecodeJson, TypeIsFoundWithoutReadingTheRest) {
  const auto type = DecodeType(R"({"spec":{"kind":"inner"},"apiVersion":"v1","kind":"List","items":[]})");
  ASSERT_TRUE(type.ok());
  EXPECT_EQ(type->kind, "List");
  EXPECT_EQ(type->api_version, "v1");
}

}  // namespace
}  // namespace strata::codec
