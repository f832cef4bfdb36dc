#include "server/wire/negotiate.h"

#include <gtest/gtest.h>

#include <string>

namespace strata::wire {
namespace {

constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

TEST(Negotiate, ChoosesAsTheReferenceDoes) {
  using enum MediaType;
  const struct {
    std::string_view accept;
    Representation wanted;
  } kCases[] = {
      {"", {kJson}},
      {"*/*", {kJson}},
      {"application/json", {kJson}},
      {"application/yaml", {kYaml}},
      {kProtobufType, {kProtobuf}},
      {"application/json, application/vnd.kubernetes.protobuf", {kJson}},
      {"application/vnd.kubernetes.protobuf,application/json", {kProtobuf}},
      {"foo/bar, application/json", {kJson}},
      {"application/vnd.kubernetes.protobuf;q=0,application/json", {kJson}},
      {"application/json;q=0.5,application/yaml;q=0.9", {kYaml}},
      {"*/*,application/yaml", {kYaml}},
      {"*/*;q=0.9,application/yaml;q=0.1", {kYaml}},
      {"application/yaml;q=0.1,*/*;q=0.9", {kJson}},
      {"application/yaml;q=half,application/json;q=0.1", {kJson}},
      {"application/yaml;q= 1,application/json;q=0.1", {kJson}},
      {"application/yaml;q=nan,application/json", {kYaml}},
      {"application/yaml;pretty=1=1", {kYaml}},
      {"application/json;sv=v1", {kJson}},
      {"application/json;as=", {kJson}},
      {"application/json;as=Table;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
       {kJson, false, Transform::kPartialObjectMetadata}},
      {"application/json; charset=utf-8", {kJson}},
      {"application/json;profile=x", {kJson}},
      {"application/json;stream=watch", {kJson}},
      {"application/json;pretty=1", {kJson, true}},
      {"application/json; pretty=0", {kJson}},
      {"application/cbor,application/json", {kJson}},
      {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", {kJson}},
      {"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
       {kJson, false, Transform::kPartialObjectMetadata}},
      {"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1",
       {kProtobuf, false, Transform::kPartialObjectMetadata, true}},
      {"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
       {kJson, false, Transform::kPartialObjectMetadataList}},
  };
  for (const auto& c : kCases) {
    const Negotiation result = Negotiate({.accept = c.accept, .user_agent = {}, .pretty = {}});
    EXPECT_EQ(result.refusal, Refusal::kNone) << c.accept;
    EXPECT_EQ(result.representation, c.wanted) << c.accept;
  }
}

TEST(Negotiate, RefusesInTheStageThatTheReferenceRefusesIn) {
  const struct {
    std::string_view accept;
    Refusal refusal;
    bool plain_acceptable;
  } kCases[] = {
      {"application/*", Refusal::kMediaType, true},
      {"application/cbor", Refusal::kMediaType, false},
      {"APPLICATION/JSON", Refusal::kMediaType, false},
      {"text/html", Refusal::kMediaType, false},
      {"application/json;as=Table;v=v1;g=meta.k8s.io", Refusal::kConversion, false},
      {"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", Refusal::kConversion,
       false},
      {"application/json;as=Foo;v=v1;g=meta.k8s.io", Refusal::kConversion, false},
      {"application/json;as=PartialObjectMetadata;v=v2;g=meta.k8s.io", Refusal::kConversion, false},
      {"application/json;sv=1", Refusal::kConversion, false},
      {"application/json;sv=v1", Refusal::kNone, false},
      {"application/json;v=v1", Refusal::kConversion, false},
      {"application/json;g=meta.k8s.io;v=v1", Refusal::kConversion, false},
      {"application/json;stream=other", Refusal::kConversion, false},
      {",", Refusal::kMediaType, false},
  };
  for (const auto& c : kCases) {
    const Preference preference{.accept = c.accept, .user_agent = {}, .pretty = {}};
    EXPECT_EQ(Negotiate(preference).refusal, c.refusal) << c.accept;
    EXPECT_EQ(NegotiatePlain(preference).has_value(), c.plain_acceptable) << c.accept;
  }
}

TEST(Negotiate, PeopleGetPrettyJsonUnlessTheyDecline) {
  const struct {
    std::string_view user_agent;
    std::optional<std::string_view> pretty;
    std::string_view accept;
    bool wanted;
  } kCases[] = {
      {"curl/7.88.1", {}, "", true},
      {"Wget/1.21", {}, "application/json", true},
      {"Mozilla/5.0 (X11)", {}, "*/*", true},
      {"image-registry/v0.0.0", {}, "", false},
      {"curl/7.88.1", "false", "", false},
      {"", "true", "", true},
      {"", "1", "", true},
      {"curl/7.88.1", "", "", true},
      {"", "", "", false},
      {"curl/7.88.1", "yes", "", false},
      {"curl/7.88.1", {}, kProtobufType, false},
      {"", "false", "application/json;pretty=1", true},
  };
  for (const auto& c : kCases) {
    const auto result = NegotiatePlain({c.accept, c.user_agent, c.pretty});
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->pretty, c.wanted)
        << c.user_agent << " " << c.pretty.value_or("-") << " " << c.accept;
  }
}

TEST(Negotiate, AnEndpointSaysWhichConversionsItOffers) {
  const Conversion kOffered[] = {
      {"List", "discovery", "v2", Transform::kPartialObjectMetadataList}};
  const Preference offered{
      .accept = "application/json;g=discovery;v=v2;as=List", .user_agent = {}, .pretty = {}};
  EXPECT_EQ(Negotiate(offered, kOffered).representation.transform,
            Transform::kPartialObjectMetadataList);
  EXPECT_EQ(Negotiate(offered).refusal, Refusal::kConversion);
  const Preference metadata{
      .accept = "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadata",
      .user_agent = {},
      .pretty = {}};
  EXPECT_EQ(Negotiate(metadata, kOffered).refusal, Refusal::kConversion);
}

TEST(Negotiate, ThousandsOfClausesAreNoWork) {
  std::string accept;
  for (int i = 0; i < 20'000; ++i) accept += "a/b;q=0." + std::to_string(i) + ",";
  EXPECT_EQ(
      Negotiate({.accept = accept + "application/json", .user_agent = {}, .pretty = {}}).refusal,
      Refusal::kConversion);
}

}  // namespace
}  // namespace strata::wire
