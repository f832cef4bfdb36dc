// Bodies against the recorded ones of openshift-apiserver.
#include "server/api/error.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "server/api/number.h"
#include "server/registry/image_v1.h"

namespace strata::api {
namespace {

std::string Golden(const std::string& path) {
  std::ifstream file("test/golden/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

RequestInfo Info(std::string_view target) {
  return *ParseRequestInfo("GET", target);
}

TEST(Error, BodiesAreTheReferences) {
  const std::string base = "/apis/image.openshift.io/v1/namespaces/golden-a/imagestreams/";
  const wire::Preference json{.accept = "application/json", .user_agent = {}, .pretty = {}};
  const wire::Preference protobuf{
      .accept = "application/vnd.kubernetes.protobuf", .user_agent = {}, .pretty = {}};
  const wire::Preference yaml{.accept = "application/yaml", .user_agent = {}, .pretty = {}};
  const wire::Preference cbor{.accept = "application/cbor", .user_agent = {}, .pretty = {}};
  const wire::Preference any{.accept = "application/*", .user_agent = {}, .pretty = {}};
  const wire::Preference table{
      .accept = "application/json;as=Table;v=v1;g=meta.k8s.io", .user_agent = {}, .pretty = {}};
  const wire::Preference partial{
      .accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
      .user_agent = {},
      .pretty = {}};
  const wire::Preference curl{
      .accept = "application/json", .user_agent = "curl/7.88.1", .pretty = {}};
  const registry::Resource& layers = registry::ImageStreamLayers();
  const struct {
    const char* file;
    int code;
    Error error;
    wire::Preference preference;
  } kCases[] = {
      {"misc/puller-not-found.json", 404, NotFound(layers, "nope"), json},
      {"misc/name-invalid.json", 404, NotFound(layers, "UPPER_case x"), json},
      {"useragent/ua-curl-not-found.json", 404, NotFound(layers, "nope"), curl},
      {"misc/name-percent-slash.json", 404, NotFoundGeneric(), json},
      {"misc/method-foo.json", 405, MethodNotAllowed(), json},
      {"misc/front-proxy-no-user.json", 401, Unauthorized(), json},
      {"misc/forbidden-user.json", 403,
       Forbidden("nobody", Info(base + "shared-layers/layers"), ""), json},
      {"misc/forbidden-user-pb.pb", 403,
       Forbidden("nobody", Info(base + "shared-layers/layers"), ""), protobuf},
      {"misc/forbidden-user-yaml.yaml", 403,
       Forbidden("nobody", Info(base + "shared-layers/layers"), ""), yaml},
      {"paths/path-unknown-subresource-nobody.json", 403,
       Forbidden("nobody", Info(base + "shared-layers/foo"), ""), json},
      {"discovery/apis-anonymous.json", 403, Forbidden("system:anonymous", Info("/apis"), ""),
       json},
      {"discovery/metrics-anonymous.json", 403, Forbidden("system:anonymous", Info("/metrics"), ""),
       json},
      {"paths/path-empty-name.json", 400, BadRequest("name must be provided"), json},
      {"paths/path-ns-empty.json", 400, BadRequest("Namespace parameter required."), json},
      {"query/query-rv-garbage.json", 500,
       InvalidResourceVersion(ParseResourceVersion("abc").status()), json},
      {"query/query-rv-negative.json", 500,
       InvalidResourceVersion(ParseResourceVersion("-1").status()), json},
      {"query/query-timeout-tiny.txt", 504, RequestTimeout(), json},
      {"query/query-timeout-bad.json", 400,
       BadRequest("invalid timeout specified in the request URL - time: invalid duration \"xyz\""),
       json},
      {"misc/index-not-synced.json", 500, ServerTimeout(layers), json},
      {"accept/accept-cbor.json", 406, NotAcceptable(wire::Refusal::kMediaType), cbor},
      {"accept/accept-app-star.json", 406, NotAcceptable(wire::Refusal::kMediaType), any},
      {"accept/accept-table.json", 406, NotAcceptable(wire::Refusal::kConversion), table},
      {"accept/accept-partial-list.json", 406,
       NotAcceptableList(layers, "PartialObjectMetadataList"), partial},
  };
  for (const auto& c : kCases) {
    const http::Response response = ToResponse(c.error, c.preference);
    EXPECT_EQ(response.status, c.code) << c.file;
    EXPECT_EQ(*response.body, Golden(c.file)) << c.file;
  }
}

TEST(Error, EachResourceNamesItsOwnType) {
  EXPECT_EQ(NotAcceptableList(registry::ImageStreams(), "PartialObjectMetadataList").message,
            "you requested PartialObjectMetadataList, but the requested object is not a list "
            "(*image.ImageStream)");
}

TEST(Error, RetriesAreAskedForInTheHeaderToo) {
  EXPECT_EQ(*ToResponse(ServerTimeout(registry::ImageStreams()), {}).headers.Find("retry-after"),
            "2");
  EXPECT_EQ(*ToResponse(TooManyRequests(), {}).headers.Find("retry-after"), "1");
  EXPECT_EQ(*ToResponse(TooLargeResourceVersion("9", 5), {}).headers.Find("retry-after"), "1");
  EXPECT_EQ(ToResponse(Unauthorized(), {}).headers.Find("www-authenticate"), nullptr);
}

TEST(Error, WhatCannotBeToldIsText) {
  const http::Response response = ToResponse(InternalErrorText("/apis/<x>", "no & such"), {});
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(*response.body, "Internal Server Error: \"/apis/&lt;x&gt;\": no &amp; such\n");
  EXPECT_EQ(*response.headers.Find("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(*response.headers.Find("x-content-type-options"), "nosniff");
}

TEST(Error, NamesOfUsersCannotBreakOutOfTheMessage) {
  const Error error = Forbidden("a\"<b>\n", Info("/metrics"), "no & never");
  EXPECT_EQ(error.message,
            "forbidden: User \"a\\\"&lt;b&gt;\\n\" cannot get path \"/metrics\": no &amp; never");
}

TEST(Error, OfAListThatIsGoneIsTheReferences) {
  const wire::Preference json{.accept = "application/json", .user_agent = {}, .pretty = {}};
  EXPECT_EQ(*ToResponse(ExpiredContinue(std::string("a\0", 2)), json).body,
            Golden("../golden-resources/expired.continue-old.json"));
  EXPECT_EQ(*ToResponse(ExpiredList(), json).body,
            Golden("../golden-resources/expired.exact.json"));
}

}  // namespace
}  // namespace strata::api
