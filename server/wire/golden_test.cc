// Negotiation and encoding against every recorded request for one image stream.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "lib/codec/decode_json.h"
#include "proto/image/image_v1.pb.h"
#include "server/wire/encode.h"
#include "server/wire/negotiate.h"

namespace strata::wire {
namespace {

namespace image = ::github::com::openshift::api::image::v1;
namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

std::string Read(const std::string& path) {
  std::ifstream file("test/golden/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The text between `from` and `to` in one case of the manifest; empty if it isn't there.
std::string_view Between(std::string_view text, std::string_view from, std::string_view to) {
  const size_t start = text.find(from);
  if (start == std::string_view::npos) return "";
  text.remove_prefix(start + from.size());
  return text.substr(0, text.find(to));
}

struct Case {
  std::string name, accept, user_agent, path, status, file;
  std::optional<std::string> pretty;

  explicit Case(std::string_view json)
      : name(Between(json, "\"case\": \"", "\"")),
        path(Between(json, "\"path\": \"", "\"")),
        status(Between(json, "\"status\": ", ",")),
        file(Between(json, "\"file\": \"", "\"")) {
    const std::string headers = "{" + std::string(Between(json, "\"headers\": {", "}")) + "}";
    EXPECT_TRUE(codec::ForEachString(headers, [&](std::string_view key, std::string_view value) {
                  if (key == "Accept") accept = value;
                  if (key == "User-Agent") user_agent = value;
                }).ok());
    const std::string_view query = Between(path, "?", "#");
    if (query == "pretty") pretty = "";
    if (query.starts_with("pretty=")) pretty = Between(query, "=", "&");
  }
};

image::ImageStreamLayers SharedLayers() {
  image::ImageStreamLayers layers;
  EXPECT_TRUE(codec::DecodeJson(Read("accept/accept-none.json"), layers).ok());
  return layers;
}

std::string Body(const image::ImageStreamLayers& layers, const Representation& representation) {
  if (representation.transform == Transform::kNone) {
    return Encode(layers, {"ImageStreamLayers", "image.openshift.io/v1"}, representation);
  }
  meta::PartialObjectMetadata partial;
  *partial.mutable_metadata() = layers.metadata();
  return Encode(partial, {"PartialObjectMetadata", "meta.k8s.io/v1"}, representation);
}

TEST(WireGolden, EveryRequestForOneStreamGetsTheFormThatTheReferenceChose) {
  const image::ImageStreamLayers layers = SharedLayers();
  const std::string manifest = Read("manifest.json");
  int answers = 0, refusals = 0;
  const size_t cases = manifest.find("\"cases\"");
  ASSERT_NE(cases, std::string::npos);
  const std::string items = "{\"items\"" + manifest.substr(cases + 7);
  ASSERT_TRUE(codec::ForEachItem(items, [&](std::string_view json) {
                const Case c(json);
                if (c.path.find("/golden-a/imagestreams/shared-layers/layers") == std::string::npos)
                  return;
                if (c.file.empty() || (c.status != "200" && c.status != "406")) return;
                const Negotiation result = Negotiate({c.accept, c.user_agent, c.pretty});
                const std::string body = Read(c.file);
                if (c.status == "200") {
                  ++answers;
                  ASSERT_EQ(result.refusal, Refusal::kNone) << c.name;
                  EXPECT_EQ(Body(layers, result.representation), body) << c.name;
                } else if (body.find("the requested object is not a list") != std::string::npos) {
                  EXPECT_EQ(result.representation.transform, Transform::kPartialObjectMetadataList)
                      << c.name;
                } else {
                  ++refusals;
                  EXPECT_EQ(result.refusal, body.find("406: Not Acceptable") != std::string::npos
                                                ? Refusal::kMediaType
                                                : Refusal::kConversion)
                      << c.name;
                }
              }).ok());
  EXPECT_GT(answers, 40);
  EXPECT_GT(refusals, 8);
}

}  // namespace
}  // namespace strata::wire
