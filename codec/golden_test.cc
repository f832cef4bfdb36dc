// The codec against the bytes that openshift-apiserver sent.
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "codec/decode_json.h"
#include "codec/encode_json.h"
#include "codec/encode_protobuf.h"
#include "codec/yaml.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/meta_v1.pb.h"
#include "proto/k8s/runtime.pb.h"

namespace strata::codec {
namespace {

namespace fs = std::filesystem;
namespace image = ::github::com::openshift::api::image::v1;
namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
namespace runtime = ::k8s::io::apimachinery::pkg::runtime;

std::string Read(const fs::path& path) {
  if (!fs::exists(path)) return "";
  if (path.extension() != ".gz") {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string out(64 << 20, '\0');
  gzFile file = gzopen(path.c_str(), "rb");
  const int size = gzread(file, out.data(), static_cast<unsigned>(out.size()));
  gzclose(file);
  out.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return out;
}

std::string ReadEither(const fs::path& path) {
  const std::string plain = Read(path);
  return plain.empty() ? Read(path.string() + ".gz") : plain;
}

template <typename T>
void ExpectSameBytes(const runtime::Unknown& unknown, const std::string& json, const std::string& name) {
  T message;
  ASSERT_TRUE(message.ParseFromString(unknown.raw())) << name;
  EXPECT_EQ(EncodeProtobuf(message), unknown.raw()) << name;
  const TypeMeta type{unknown.type_meta().kind(), unknown.type_meta().api_version()};
  EXPECT_EQ(EncodeJson(message, type) + "\n", json) << name;

  if (json.find("\\ufffd") != std::string::npos) return;  // bytes that were lost don't come back
  T decoded;
  ASSERT_TRUE(DecodeJson(json, decoded).ok()) << name;
  EXPECT_EQ(EncodeJson(decoded, type) + "\n", json) << name;
}

TEST(CodecGolden, EveryRecordedStreamEncodesToItsJsonAndProtobuf) {
  int streams = 0;
  for (const auto& entry : fs::directory_iterator("test/golden/streams")) {
    std::string name = entry.path().filename();
    const size_t suffix = name.find(".pb.pb");
    if (suffix == std::string::npos) continue;
    const std::string body = Read(entry.path());
    ASSERT_TRUE(body.starts_with(std::string_view("k8s\0", 4))) << name;
    runtime::Unknown unknown;
    ASSERT_TRUE(unknown.ParseFromString(body.substr(4)));
    const std::string json = ReadEither("test/golden/streams/" + name.substr(0, suffix) + ".json.json");
    if (unknown.type_meta().kind() == "Status") {
      ExpectSameBytes<meta::Status>(unknown, json, name);
    } else {
      ExpectSameBytes<image::ImageStreamLayers>(unknown, json, name);
      ++streams;
    }
  }
  EXPECT_GT(streams, 40);
}

TEST(CodecGolden, ErrorsPrintedAsYamlHaveTheReferencesBytes) {
  int errors = 0;
  for (const auto& entry : fs::recursive_directory_iterator("test/golden")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string yaml = Read(entry.path());
    if (!yaml.starts_with("apiVersion: v1\n")) continue;
    ASSERT_TRUE(ForEachYamlDocument(yaml, [&](YamlDocument document) {
                  EXPECT_EQ(JsonToYaml(document.json), yaml) << entry.path();
                  ++errors;
                  return true;
                }).ok());
  }
  EXPECT_GT(errors, 5);
}

}  // namespace
}  // namespace strata::codec
