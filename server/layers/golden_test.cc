// Every recorded stream, built from the recorded etcd, against the bytes that openshift-apiserver
// answered.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>

#include "lib/base/bytes.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/yaml.h"
#include "proto/k8s/list.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/layers/records_fixture_test.h"

namespace strata::layers {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");  // reads plain files as they are
  if (file == nullptr) return "";
  std::string out, part(256 << 10, '\0');
  for (int size; (size = gzread(file, part.data(), static_cast<unsigned>(part.size()))) > 0;) {
    out.append(part, 0, static_cast<size_t>(size));
  }
  gzclose(file);
  return out;
}

// storage/records does this in the server; here it is enough to unwrap what is good.
std::string ObjectOf(const std::string& value, bool image) {
  if (value.starts_with(std::string_view("k8s\0", 4))) {
    k8s::io::apimachinery::pkg::runtime::Unknown unknown;
    EXPECT_TRUE(unknown.ParseFromString(value.substr(4)));
    return unknown.raw();
  }
  image_v1::Image image_message;
  image_v1::ImageStream stream_message;
  google::protobuf::Message& message =
      image ? static_cast<google::protobuf::Message&>(image_message) : stream_message;
  EXPECT_TRUE(codec::DecodeJson(value, message).ok());
  return codec::EncodeProtobuf(message);
}

// As storage/records hands it on: what was stored of a resourceVersion isn't the record's.
std::string WithoutVersion(const std::string& object) {
  k8s::io::apimachinery::pkg::apis::meta::v1::AnyObject any;
  if (!any.ParseFromString(object) || any.metadata().resource_version().empty()) return object;
  any.mutable_metadata()->clear_resource_version();
  return any.SerializeAsString();
}

class LayersGolden : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    index = new Index({}, {});
    index->BeginList();
    std::istringstream lines(Read("test/golden/etcd.jsonl.gz"));
    for (std::string line; std::getline(lines, line);) {
      std::string key, value;
      ASSERT_TRUE(codec::ForEachString(line, [&](std::string_view name, std::string_view text) {
                    if (name == "key") key = text;
                    if (name == "value") value = text;
                  }).ok());
      const size_t at = line.find("\"modRevision\":");
      const base::Revision revision = std::strtoll(line.c_str() + at + 14, nullptr, 10);
      const bool image = key.starts_with("/openshift.io/images/");
      const std::string object = WithoutVersion(ObjectOf(*base::FromBase64(value), image));
      const std::string rest = key.substr(key.find('/', 14) + 1);
      const size_t slash = image ? 0 : rest.find('/') + 1;
      const std::string ns = image ? "" : rest.substr(0, slash - 1), name = rest.substr(slash);
      const Change change{image ? Change::Kind::kImage : Change::Kind::kImageStream,
                          Change::State::kPresent,
                          ns,
                          name,
                          revision,
                          object,
                          {}};
      index->AddToList({&change, 1});
    }
    index->EndList(1);
  }

  static std::string Answer(const std::string& ns, const std::string& name, const Form& form) {
    const Lookup lookup = index->Find(ns, name, form);
    if (lookup.result == Lookup::Result::kAnswer) return lookup.answer->body;
    if (lookup.result == Lookup::Result::kSmall)
      return (*index->Build(lookup.gathered, form))->body;
    if (lookup.result != Lookup::Result::kLarge) return "<" + lookup.reason + ">";
    Assembly assembly(ns, name, form);
    return (*index->Make(assembly, {}))->body;
  }

  static Index* index;
};
Index* LayersGolden::index = nullptr;

// What we answer where the reference fails the whole stream with a 422 (docs/compatibility.md):
// part of the body.
const std::map<std::string, std::string> kInsteadOf422 = {
    {"golden-c.layer-empty-name", R"("imageMissing":false,"layers":null,"config":"sha256:)"},
    {"golden-c.list-with-layers",
     R"("imageMissing":false,"layers":null,"config":null,"manifests":[)"},
    {"golden-c.metadata-lowercase-id", R"("config":"sha256:)"},
    {"golden-c.metadata-pre012", R"("config":"sha256:)"},
    {"golden-c.oci-no-metadata", R"("config":null)"},
    {"golden-c.several-errors", R"("config":null)"},
};

TEST_F(LayersGolden, JsonAndProtobufAreTheReferencesBytes) {
  int equal = 0, instead = 0;
  for (const auto& entry : fs::directory_iterator("test/golden/streams")) {
    const std::string file = entry.path().filename();
    const bool json = file.find(".json.json") != std::string::npos;
    const bool protobuf = file.find(".pb.pb") != std::string::npos;
    if (!json && !protobuf) continue;
    const std::string stream = file.substr(0, file.find(json ? ".json.json" : ".pb.pb"));
    const std::string ns = stream.substr(0, stream.find('.')),
                      name = stream.substr(stream.find('.') + 1);
    const std::string expected = Read(entry.path());
    const std::string body =
        Answer(ns, name, {{json ? wire::MediaType::kJson : wire::MediaType::kProtobuf}});
    if (const auto found = kInsteadOf422.find(stream); found != kInsteadOf422.end()) {
      EXPECT_NE(expected.find("is invalid"), std::string::npos) << stream;
      EXPECT_TRUE(protobuf || body.find(found->second) != std::string::npos)
          << stream << ": " << body;
      ++instead;
      continue;
    }
    if (body == expected) {
      ++equal;
    } else {
      ADD_FAILURE() << stream << "\n" << expected.substr(0, 3000) << "\n" << body.substr(0, 3000);
    }
  }
  EXPECT_GT(equal, 90);
  EXPECT_EQ(instead, 12);
}

// The reference's order of keys varies from run to run: read, and printed with ours.
TEST_F(LayersGolden, YamlMeansTheSame) {
  int compared = 0;
  for (const auto& entry : fs::directory_iterator("test/golden/streams")) {
    const std::string file = entry.path().filename();
    const size_t suffix = file.find(".yaml.yaml");
    const std::string stream = file.substr(0, suffix);
    if (suffix == std::string::npos || kInsteadOf422.contains(stream)) continue;
    const std::string expected = Read(entry.path());
    // golden-b.labels-annotations: the reference fails on a string that its YAML library can't
    // print.
    if (expected.find("ImageStreamLayers") == std::string::npos) continue;
    std::string json;
    const base::Status read =
        codec::ForEachYamlDocument(expected, [&](codec::YamlDocument document) {
          json = std::move(document.json);
          return true;
        });
    ASSERT_TRUE(read.ok()) << stream << ": " << read;
    const size_t dot = stream.find('.');
    const std::string ns = stream.substr(0, dot);
    std::string name = stream.substr(dot + 1);
    if (name == "name-255") name = std::string(246, 'x');  // stands for the longest name
    EXPECT_EQ(Answer(ns, name, {{wire::MediaType::kYaml}}), codec::JsonToYaml(json)) << stream;
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

TEST_F(LayersGolden, PrettyJsonAndPartialMetadataAreTheReferencesBytes) {
  EXPECT_EQ(Answer("golden-a", "shared-layers", {{.pretty = true}}),
            Read("test/golden/accept/accept-pretty1.json"));
  EXPECT_EQ(
      Answer("golden-a", "shared-layers", {{.transform = wire::Transform::kPartialObjectMetadata}}),
      Read("test/golden/accept/accept-partial.json"));
}

TEST_F(LayersGolden, TheHandWrittenEncodersAgreeWithTheCodec) {
  for (const auto& entry : fs::directory_iterator("test/golden/streams")) {
    const std::string file = entry.path().filename();
    const size_t suffix = file.find(".pb.pb");
    if (suffix == std::string::npos) continue;
    const std::string ns = file.substr(0, file.find('.')),
                      name = file.substr(ns.size() + 1, suffix - ns.size() - 1);
    const std::string protobuf = Answer(ns, name, {{wire::MediaType::kProtobuf}});
    k8s::io::apimachinery::pkg::runtime::Unknown unknown;
    ASSERT_TRUE(unknown.ParseFromString(protobuf.substr(4)));
    image_v1::ImageStreamLayers layers;
    ASSERT_TRUE(layers.ParseFromString(unknown.raw()));
    EXPECT_EQ(codec::EncodeProtobuf(layers), unknown.raw()) << file;
    EXPECT_EQ(codec::EncodeJson(layers, {"ImageStreamLayers", "image.openshift.io/v1"}) + "\n",
              Answer(ns, name, {{wire::MediaType::kJson}}))
        << file;
  }
}

}  // namespace
}  // namespace strata::layers
