#include "lib/image/docker_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace strata::image {
namespace {

struct Shown {
  std::string metadata;
  std::string version;
};

// What of an image with these is shown; an error in the metadata's place.
Shown ShownOf(const std::string& metadata, const std::string& version = "") {
  v1::Image image;
  if (!metadata.empty()) image.mutable_docker_image_metadata()->set_raw(metadata);
  image.set_docker_image_metadata_version(version);
  const base::Status normalized = NormalizeMetadata(image);
  if (!normalized.ok()) return {std::string(base::Message(normalized)), version};
  return {image.docker_image_metadata().raw(), image.docker_image_metadata_version()};
}

std::string V10(const std::string& fields) {
  return R"({"kind":"DockerImage","apiVersion":"image.openshift.io/1.0",)" + fields + "}\n";
}

std::string Pre012(const std::string& fields) {
  return R"({"kind":"DockerImage","apiVersion":"image.openshift.io/pre012",)" + fields + "}\n";
}

const std::string kEmptyV10 = V10(R"("Id":"","Created":null,"ContainerConfig":{})");
const std::string kEmptyPre012 = Pre012(R"("id":"","created":null,"container_config":{})");

// Every field, in both.
constexpr char kConfig[] =
    R"({"Hostname":"h","Domainname":"d","User":"u","Memory":1,"MemorySwap":2,"CpuShares":3,)"
    R"("Cpuset":"0-1","AttachStdin":true,"AttachStdout":true,"AttachStderr":true,)"
    R"("PortSpecs":["80"],"ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,)"
    R"("StdinOnce":true,"Env":["A=b"],"Cmd":["c"],"Dns":["8.8.8.8"],"Image":"i",)"
    R"("Volumes":{"/v":{}},"VolumesFrom":"v","WorkingDir":"/w","Entrypoint":["e"],)"
    R"("NetworkDisabled":true,"SecurityOpts":["s"],"OnBuild":["o"],"Labels":{"l":"1"}})";
const std::string kFullV10 =
    R"("Id":"q","Parent":"p","Comment":"c","Created":"2020-01-02T03:04:05Z","Container":"con",)"
    R"("ContainerConfig":{"Cmd":["c"]},"DockerVersion":"1","Author":"me","Config":)" +
    std::string(kConfig) + R"(,"Architecture":"amd64","Size":5)";
const std::string kFullPre012 =
    R"("id":"q","parent":"p","comment":"c","created":"2020-01-02T03:04:05Z","container":"con",)"
    R"("container_config":{"Cmd":["c"]},"docker_version":"1","author":"me","config":)" +
    std::string(kConfig) + R"(,"architecture":"amd64","size":5)";

TEST(DockerImageMetadata, AreShownInTheVersionThatTheImageNames) {
  const struct {
    const char* what;
    std::string stored, version, shown, shown_version;
  } cases[] = {
      {"nothing", "", "", kEmptyV10, "1.0"},
      {"nothing, of 1.0", "", "1.0", kEmptyV10, "1.0"},
      {"nothing, of pre012", "", "pre012", kEmptyPre012, "pre012"},
      {"an empty object", "{}", "", kEmptyV10, "1.0"},
      {"an empty object, of pre012", "{}", "pre012", kEmptyPre012, "pre012"},
      {"every field", V10(kFullV10), "1.0", V10(kFullV10), "1.0"},
      {"every field of pre012", Pre012(kFullPre012), "pre012", Pre012(kFullPre012), "pre012"},
      {"no kind", "{" + kFullV10 + "}", "", V10(kFullV10), "1.0"},
      {"no kind, of pre012", "{" + kFullPre012 + "}", "pre012", Pre012(kFullPre012), "pre012"},
      {"keys of 1.0 in pre012", "{" + kFullV10 + "}", "pre012", kEmptyPre012, "pre012"},
      {"keys of pre012 in 1.0", "{" + kFullPre012 + "}", "1.0", kEmptyV10, "1.0"},
      {"unknown keys", R"({"Nope":{"a":1},"ID":"q","Id":"x","Config":{"Nope":1}})", "",
       V10(R"("Id":"x","Created":null,"ContainerConfig":{},"Config":{})"), "1.0"},
  };
  for (const auto& c : cases) {
    const Shown shown = ShownOf(c.stored, c.version);
    EXPECT_EQ(shown.metadata, c.shown) << c.what;
    EXPECT_EQ(shown.version, c.shown_version) << c.what;
  }
}

TEST(DockerImageMetadata, AreReadInTheVersionThatTheySayTheyHave) {
  const struct {
    std::string api_version;
    bool pre012;
  } cases[] = {
      {"image.openshift.io/1.0", false},
      {"1.0", false},
      {"image.openshift.io/pre012", true},
      {"pre012", true},
  };
  for (const auto& c : cases) {
    const std::string stored = R"({"kind":"DockerImage",)" + (c.pre012 ? kFullPre012 : kFullV10) +
                               R"(,"apiVersion":")" + c.api_version + R"("})";
    EXPECT_EQ(ShownOf(stored, "").metadata, V10(kFullV10)) << c.api_version;
    EXPECT_EQ(ShownOf(stored, "1.0").metadata, V10(kFullV10)) << c.api_version;
    EXPECT_EQ(ShownOf(stored, "pre012").metadata, Pre012(kFullPre012)) << c.api_version;
  }
  // The image's, where they say neither.
  EXPECT_EQ(
      ShownOf(R"({"kind":"","apiVersion":"image.openshift.io/","id":"q"})", "pre012").metadata,
      Pre012(R"("id":"q","created":null,"container_config":{})"));
}

TEST(DockerImageMetadata, ThatCannotBeReadAreNamed) {
  const struct {
    std::string stored, version, error;
  } cases[] = {
      {"", "2.0", "dockerImageMetadataVersion: no version 2.0 of DockerImage"},
      {"{}", "image.openshift.io/1.0",
       "dockerImageMetadataVersion: no version image.openshift.io/1.0 of DockerImage"},
      {"{}", std::string(500, 'v'), "dockerImageMetadataVersion: no version vvv"},
      {R"({"kind":"Image"})", "", "dockerImageMetadata: no DockerImage but Image"},
      {R"({"kind":"Im\nage"})", "", "dockerImageMetadata: no DockerImage but Im?age"},
      {R"({"apiVersion":"v1"})", "", "dockerImageMetadata: no version v1 of DockerImage"},
      {R"({"apiVersion":"apps/1.0"})", "", "dockerImageMetadata: no version apps/1.0 of"},
      {R"({"Size":"x"})", "", "dockerImageMetadata: Size: expected"},
      {R"({"size":"x"})", "pre012", "dockerImageMetadata: size: expected"},
      {R"({"apiVersion":"pre012","size":"x"})", "1.0", "dockerImageMetadata: size: expected"},
      {R"({"kind":5})", "", "dockerImageMetadata: kind: expected a string"},
      {"[]", "", "dockerImageMetadata: expected an object"},
      {"x", "", "dockerImageMetadata: "},
  };
  for (const auto& c : cases) {
    const std::string error = ShownOf(c.stored, c.version).metadata;
    EXPECT_THAT(error, testing::StartsWith(c.error)) << c.stored << " " << c.version;
    EXPECT_LT(error.size(), 300u);
  }
}

}  // namespace
}  // namespace strata::image
