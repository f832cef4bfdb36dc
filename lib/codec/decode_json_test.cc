#include "lib/codec/decode_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::codec {
namespace {

namespace image = ::github::com::openshift::api::image::v1;
namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

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
  ASSERT_TRUE(
      DecodeJson(
          R"({"Metadata":{"name":"wrong case"},"x":[{"y":{}}],"metadata":{"name":"a","name":"b",)"
          R"("labels":null,"creationTimestamp":null},"spec":null})",
          stream)
          .ok());
  EXPECT_EQ(stream.metadata().name(), "b");
  ASSERT_TRUE(DecodeJson("{\"metadata\":{\"name\":\"\xff\"}}", stream).ok());
  EXPECT_EQ(stream.metadata().name(), "\xEF\xBF\xBD");
}

TEST(DecodeJson, RepeatedKeysOverwriteValuesAndMergeMapsAndObjects) {
  const struct {
    std::string_view in, out;
  } kCases[] = {
      {R"({"labels":{"a":"1","b":"2","a":"3"}})", R"({"labels":{"a":"3","b":"2"}})"},
      {R"({"labels":{"a":"1","a":null}})", R"({"labels":{"a":""}})"},
      {R"({"labels":{"a":"1","b":"2"},"labels":{"a":"3","c":"4"}})",
       R"({"labels":{"a":"3","b":"2","c":"4"}})"},
      {R"({"finalizers":["a","b"],"finalizers":["c"]})", R"({"finalizers":["c"]})"},
  };
  for (const auto& c : kCases) {
    meta::ObjectMeta metadata;
    ASSERT_TRUE(DecodeJson(c.in, metadata).ok()) << c.in;
    EXPECT_EQ(EncodeJson(metadata), c.out);
  }
  image::ImageStream stream;
  ASSERT_TRUE(DecodeJson(R"({"metadata":{"name":"a"},"metadata":{"uid":"u"}})", stream).ok());
  EXPECT_EQ(stream.metadata().name(), "a");
  EXPECT_EQ(stream.metadata().uid(), "u");
}

TEST(DecodeJson, AMapThatIsRepeatedAgainAndAgainIsAnError) {
  const auto repeated = [](int entries, int times) {
    std::string json = R"({"metadata":{"labels":{)";
    for (int i = 0; i < entries; ++i)
      json += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":"")";
    json += "}}";
    for (int i = 0; i < times; ++i) json += R"(,"metadata":{"labels":{"0":"x"}})";
    return ErrorOf(json + "}");
  };
  EXPECT_EQ(repeated(1'000, 100), "");
  EXPECT_EQ(repeated(1'000, 101), "metadata.labels: repeated too often");
  EXPECT_EQ(repeated(50'000, 2), "");
  EXPECT_EQ(repeated(1, 10'000), "");
}

TEST(DecodeJson, HalfASurrogatePairIsAReplacementCharacter) {
  const struct {
    std::string_view in, out;
  } kCases[] = {
      {R"(\ud83d\ude00)", "\xF0\x9F\x98\x80"},
      {R"(\uD83D)", "\xEF\xBF\xBD"},
      {R"(\ude00\ud83d)", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {R"(\ud83d\ud83d\ude00x)", "\xEF\xBF\xBD\xF0\x9F\x98\x80x"},
      {R"(\ud83dx\\ud83d)", "\xEF\xBF\xBDx\\ud83d"},
      {R"(\ud7ff\ue000)", "\xED\x9F\xBF\xEE\x80\x80"},
  };
  for (const auto& c : kCases) {
    meta::ObjectMeta metadata;
    const auto type = DecodeJson("{\"name\":\"" + std::string(c.in) + "\"}", metadata);
    ASSERT_TRUE(type.ok()) << c.in << type.status();
    EXPECT_EQ(metadata.name(), c.out) << c.in;
  }
  EXPECT_NE(ErrorOf("{\"a\":\"\\ud8"), "");
  EXPECT_NE(ErrorOf("{\"a\":\"\\"), "");
}

TEST(DecodeJson, TellsWhichFieldsAreUnknownIfAsked) {
  image::ImageStream stream;
  std::vector<std::string> unknown;
  const std::string_view json =
      R"({"kind":"ImageStream","metadata":{"name":"x","nam":"y"},"Spec":{},"spec":{"tags":[{"name":"a"},{"from":{"b":1}}]}})";
  ASSERT_TRUE(DecodeJson(json, stream, &unknown).ok());
  EXPECT_THAT(unknown, testing::ElementsAre("metadata.nam", "Spec", "spec.tags[1].from.b"));

  unknown.clear();
  std::string many = "{\"kind\":\"ImageStream\"";
  for (int i = 0; i < 500; ++i) many += ",\"x" + std::to_string(i) + "\":0";
  ASSERT_TRUE(DecodeJson(many + "}", stream, &unknown).ok());
  EXPECT_EQ(unknown.size(), 100u);
}

TEST(DecodeJson, NumbersOfUnknownFieldsNeedNotFitAnything) {
  image::ImageStream stream;
  EXPECT_TRUE(
      DecodeJson(R"({"x":1e999,"y":[-123456789012345678901234567890.5E-7,0]})", stream).ok());
  for (const std::string_view bad : {"01", "1.", "-", "1e", "+1", "0x1", "1-2"}) {
    EXPECT_NE(ErrorOf("{\"x\":" + std::string(bad) + "}"), "") << bad;
  }
}

TEST(DecodeJson, WhatIsKeptRawIsReadAllTheSame) {
  for (const std::string_view bad :
       {R"({"a":tru})", R"({"a":1,})", R"(["a" 1])", R"({"a"})", "01", "\"\\x\""}) {
    image::Image message;
    EXPECT_FALSE(DecodeJson("{\"dockerImageMetadata\":" + std::string(bad) + "}", message).ok())
        << bad;
  }
  image::Image message;
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  EXPECT_TRUE(DecodeJson("{\"dockerImageMetadata\":" + deep + "}", message).ok());
  EXPECT_EQ(message.docker_image_metadata().raw(), deep);
}

TEST(DecodeJson, TimesTakeOffsetsAndFractions) {
  image::ImageStream stream;
  ASSERT_TRUE(
      DecodeJson(R"({"metadata":{"creationTimestamp":"2023-11-15T00:13:20.75+02:00"}})", stream)
          .ok());
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
      {R"({"metadata":{"generation":1.5}})",
       "metadata.generation: expected a whole number of 64 bits, got a number"},
      {R"({"metadata":{"creationTimestamp":"yesterday"}})",
       "metadata.creationTimestamp: expected a time"},
      {R"({"metadata":{"creationTimestamp":"2023-02-29T00:00:00Z"}})",
       "metadata.creationTimestamp: expected a time"},
      {R"({"spec":{"tags":[{"name":"a"},{"name":true}]}})",
       "spec.tags[1].name: expected a string, got a boolean"},
      {R"({"metadata":{"labels":{"a":{}}}})",
       "metadata.labels.a: expected a string, got an object"},
      {R"({"spec":{"tags":{}}})", "spec.tags: expected a list, got an object"},
      {R"({"spec":{"lookupPolicy":{"local":"yes"}}})",
       "spec.lookupPolicy.local: expected a boolean, got a string"},
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
  // Go's empty list.
  EXPECT_TRUE(
      ForEachItem(R"({"items":null,"kind":"List"})", [](std::string_view) { FAIL(); }).ok());
  EXPECT_THAT(*DecodeStrings("null"), testing::IsEmpty());
}

TEST(DecodeJson, TypeIsFoundWithoutReadingTheRest) {
  const auto type =
      DecodeType(R"({"spec":{"kind":"inner"},"apiVersion":"v1","kind":"List","items":[]})");
  ASSERT_TRUE(type.ok());
  EXPECT_EQ(type->kind, "List");
  EXPECT_EQ(type->api_version, "v1");
}

}  // namespace
}  // namespace strata::codec
