#include "server/start/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace strata::start {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Arguments : public testing::Test {
 protected:
  ~Arguments() override { std::filesystem::remove(path); }
  base::StatusOr<std::vector<std::string>> Read(std::vector<const char*> line) {
    line.insert(line.begin(), "program");
    return ReadArguments(static_cast<int>(line.size()), line.data());
  }
  base::StatusOr<std::vector<std::string>> ReadFile(const std::string& yaml) {
    std::ofstream(path) << yaml;
    return Read({"--config", path.c_str(), "--secure-port=1"});
  }

  const std::string path =
      (std::filesystem::temp_directory_path() / ("strata-config-" + std::to_string(getpid())))
          .string();
};

TEST_F(Arguments, SpellingsOfPflagAreUnderstood) {
  EXPECT_THAT(
      *Read({"--secure_port=1", "--tls_cert-file", "a_b", "-v=2", "-v", "3", "--x_y=a_b"}),
      ElementsAre("--secure-port=1", "--tls-cert-file", "a_b", "-v2", "-v", "3", "--x-y=a_b"));
}

TEST_F(Arguments, AFilesFlagsStandBeforeTheLinesAndYieldToThem) {
  EXPECT_THAT(*ReadFile("secure-port: 443\n"
                        "etcd_servers: [http://a:1, 'http://b:2']\n"
                        "anonymous-auth: false\n"
                        "v: 2\n"),
              ElementsAre("--etcd-servers=http://a:1", "--etcd-servers=http://b:2",
                          "--anonymous-auth=false", "--v=2", "--secure-port=1"));
  EXPECT_THAT(*ReadFile(""), ElementsAre("--secure-port=1"));
}

TEST_F(Arguments, AnErrorNamesTheFileAndTheKey) {
  const struct {
    const char* yaml;
    const char* error;
  } kCases[] = {
      {"- a\n", "lines `flag: value` are expected"},
      {"a: {b: c}\n", "a: a value or a list of values is expected"},
      {"a: [[b]]\n", "a: a list of plain values is expected"},
      {"a:\n", "a: a value is missing"},
      {"config: x\n", "files don't name others"},
      {"a: b\n---\nc: d\n", "one document is expected"},
      {"a: [\n", "line"},
  };
  for (const auto& c : kCases) {
    const auto read = ReadFile(c.yaml);
    ASSERT_FALSE(read.ok()) << c.yaml;
    EXPECT_THAT(std::string(base::Message(read.status())),
                testing::AllOf(testing::StartsWith("--config: " + path), HasSubstr(c.error)));
  }
  EXPECT_FALSE(Read({"--config=/nowhere"}).ok());
  EXPECT_FALSE(Read({"--config"}).ok());
}

}  // namespace
}  // namespace strata::start
