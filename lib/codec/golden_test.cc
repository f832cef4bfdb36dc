// The codec against the bytes that openshift-apiserver sent.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "lib/codec/yaml.h"
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
void ExpectSameBytes(const runtime::Unknown& unknown, const std::string& json,
                     const std::string& name) {
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
    const std::string json =
        ReadEither("test/golden/streams/" + name.substr(0, suffix) + ".json.json");
    if (unknown.type_meta().kind() == "Status") {
      ExpectSameBytes<meta::Status>(unknown, json, name);
    } else {
      ExpectSameBytes<image::ImageStreamLayers>(unknown, json, name);
      ++streams;
    }
  }
  EXPECT_GT(streams, 40);
}

std::vector<std::string> SortedLines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

// The JSON that `yaml` was recorded beside; without one, what it parses to.
std::string JsonBeside(const fs::path& path, const std::string& yaml) {
  const std::string name = path.string();
  const bool error = yaml.starts_with("apiVersion: v1\n");
  std::string json =
      error ? "" : ReadEither(name.substr(0, name.find(".yaml.yaml")) + ".json.json");
  if (!json.empty()) json.pop_back();
  if (json.empty()) {
    EXPECT_TRUE(ForEachYamlDocument(yaml, [&](const YamlDocument& document) {
                  json = document.json;
                  return true;
                }).ok());
  }
  return json;
}

// The reference's order of keys differs from run to run, its lines don't (test/golden/README.md).
TEST(CodecGolden, YamlHasTheReferencesLinesAndErrorsItsBytes) {
  int answers = 0, same_order = 0, errors = 0;
  for (const auto& entry : fs::recursive_directory_iterator("test/golden")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string yaml = Read(entry.path());
    const std::string ours = JsonToYaml(JsonBeside(entry.path(), yaml));
    if (yaml.starts_with("apiVersion: v1\n")) {
      EXPECT_EQ(ours, yaml) << entry.path();
      ++errors;
    } else {
      EXPECT_EQ(SortedLines(ours), SortedLines(yaml)) << entry.path();
      ++answers;
      if (ours == yaml) ++same_order;
    }
  }
  EXPECT_GT(errors, 5);
  EXPECT_GT(answers, 40);
  EXPECT_GT(same_order, answers / 2);
}

}  // namespace
}  // namespace strata::codec
