#include "storage/records/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/image/image_v1.pb.h"

namespace strata::records {
namespace {

using namespace std::string_literals;

using testing::HasSubstr;

Change DecodeImage(std::string value) {
  return Decode({Kind::kImage, "", "sha256:a"}, std::move(value), 7);
}

std::string Envelope(std::string_view api_version, std::string_view kind, std::string_view tail) {
  std::string type;
  type += '\x0a';
  type += static_cast<char>(api_version.size());
  type += api_version;
  type += '\x12';
  type += static_cast<char>(kind.size());
  type += kind;
  std::string value("k8s\0\x0a", 5);
  value += static_cast<char>(type.size());
  return value + type + std::string(tail);
}

TEST(Record, IsReadFromItsEnvelopeAndFromJson) {
  const Change protobuf = DecodeImage(Encode(Kind::kImage, "\x0a\x03\x0a\x01x"));
  EXPECT_EQ(protobuf.state, Change::State::kPresent);
  EXPECT_EQ(protobuf.object, "\x0a\x03\x0a\x01x");
  EXPECT_EQ(protobuf.revision, 7);
  for (const char* api_version : {"image.openshift.io/v1", "v1"}) {
    const Change json =
        DecodeImage(" {\"kind\":\"Image\",\"apiVersion\":\"" + std::string(api_version) +
                    "\",\"metadata\":{\"name\":\"x\"}}\n");
    ASSERT_EQ(json.state, Change::State::kPresent) << json.reason;
    github::com::openshift::api::image::v1::Image image;
    ASSERT_TRUE(image.ParseFromString(json.object));
    EXPECT_EQ(image.metadata().name(), "x");
  }
  EXPECT_EQ(DecodeImage(Envelope("v1", "Image", "")).state, Change::State::kPresent);
}

TEST(Record, AnObjectStaysInTheMemoryOfItsValue) {
  const std::string object(1000, 'x');
  std::string value = Encode(Kind::kImage, object);
  const char* const memory = value.data();
  const Change change = DecodeImage(std::move(value));
  EXPECT_EQ(change.object, object);
  EXPECT_EQ(change.object.data(), memory);
}

TEST(Record, TheResourceVersionThatItWasStoredWithIsNotItsOwn) {
  github::com::openshift::api::image::v1::Image image;
  image.mutable_metadata()->set_name("x");
  image.set_docker_image_manifest("m");
  const std::string without = image.SerializeAsString();
  image.mutable_metadata()->set_resource_version("");
  EXPECT_EQ(DecodeImage(Encode(Kind::kImage, image.SerializeAsString())).object,
            image.SerializeAsString())
      << "as writers leave it";
  image.mutable_metadata()->set_resource_version("99");
  EXPECT_EQ(DecodeImage(Encode(Kind::kImage, image.SerializeAsString())).object, without);
  EXPECT_EQ(DecodeImage(Encode(Kind::kImage, image.SerializeAsString() + "\xff")).object,
            image.SerializeAsString() + "\xff")
      << "it can't be read anyway";
}

TEST(Record, TheEnvelopesMembersMayStandInAnyOrderAndTheLastOneCounts) {
  const std::string type = Envelope("v1", "Image", "").substr(4);
  for (const std::string& value :
       {"k8s\0"s + "\x12\x01x" + type, Envelope("v1", "Image", "\x12\x02no\x12\x01x"),
        Envelope("v2", "Image", "\x12\x01x\x0a\x04\x0a\x02v1\x28\x01")}) {
    const Change change = DecodeImage(value);
    ASSERT_EQ(change.state, Change::State::kPresent) << change.reason;
    EXPECT_EQ(change.object, "x");
  }
}

TEST(Record, TheEnvelopeHasTheEmptyMembersThatGogoWrites) {
  EXPECT_EQ(Encode(Kind::kImage, "x"),
            Envelope("image.openshift.io/v1", "Image", std::string("\x12\x01x\x1a\0\x22\0", 7)));
}

TEST(Record, WhatCannotBeReadSaysWhy) {
  std::string bomb = "{\"kind\":\"Image\",\"apiVersion\":\"v1\",\"x\":";
  for (int i = 0; i < 100'000; ++i) bomb += '[';
  const struct {
    std::string value, reason;
  } kCases[] = {
      {"", "the value is empty"},
      {"k8s:enc:aescbc:v1:key1:\x01\x02\xff\n", "encrypted at rest (k8s:enc:aescbc:v1:key1:"},
      {Envelope("image.openshift.io/v1", "ImageStream", ""),
       "kind \"ImageStream\" where Image is expected"},
      {Envelope("apps/v1", "Image", ""), "apiVersion \"apps/v1\""},
      {std::string("k8s\0\x0a\x7f", 6), "malformed protobuf in the envelope"},
      {Envelope("v1", "Image", "\x10\x01"), "malformed protobuf in the envelope"},
      {Envelope("v1", "Image", "\x12\x02x"), "malformed protobuf in the envelope"},
      {"k8s\0\x0a\x02\x08\x01"s, "malformed protobuf in the envelope"},
      {Envelope("v1", "Image", "\x1a\x04gzip"), "content encoding \"gzip\""},
      {Envelope("v1", "Image", "\x22\x04text"), "content type \"text\""},
      {Envelope("v1", "Image",
                "\x12\x01{\x22\x10"
                "application/json"),
       "malformed JSON"},
      {R"({"kind":"Secret","apiVersion":"v1"})", "kind \"Secret\""},
      {R"({"kind":"Image","apiVersion":"v1","metadata":5})", "metadata: expected an object"},
      {"{", "malformed JSON"},
      {bomb, ""},
      {std::string(4 << 20, '\xee'), "neither Kubernetes protobuf nor JSON"},
      {"\n\n", "neither"},
      {"kind: Image\n", "neither"},
  };
  for (const auto& c : kCases) {
    const Change change = DecodeImage(c.value);
    EXPECT_EQ(change.state, Change::State::kUnreadable) << c.reason;
    EXPECT_THAT(change.reason, HasSubstr(c.reason));
    EXPECT_LT(change.reason.size(), 300u);
    EXPECT_NE(change.reason, "");
  }
}

}  // namespace
}  // namespace strata::records
