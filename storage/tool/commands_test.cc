// The command lines of load, dump and get: what they print, and what they exit with.
#include "storage/tool/commands.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "storage/command_line/parse.h"
#include "storage/tool/output.h"
#include "test/support/full_disk.h"
#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Commands : public testing::Test {
 protected:
  struct Result {
    int exit_code = 0;
    std::string out, err;
  };
  // `arguments` after "strata-storage"; DIR in them is the test's directory.
  Result Run(std::vector<std::string> arguments) {
    for (std::string& argument : arguments) {
      if (const size_t at = argument.find("DIR"); at != std::string::npos)
        argument.replace(at, 3, directory_.string());
    }
    Result result;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    CLI::App app{"", "strata-storage"};
    AddCommands(app, result.exit_code);
    if (const auto ended = command_line::Parse(app, std::move(arguments)))
      result.exit_code = *ended;
    result.out = testing::internal::GetCapturedStdout();
    result.err = testing::internal::GetCapturedStderr();
    return result;
  }

  const testing_support::TempDir dir_;
  const fs::path directory_ = dir_.path();
};

TEST_F(Commands, ExitWithZeroWhenAllWasGoodAndOneWhenNot) {
  const Result good = Run({"load", "--data-dir=DIR/store", "deploy/samples"});
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_EQ(good.err,
            "passed over 4 documents of other kinds: 1 ClusterRoleBinding, 1 Role, 2 RoleBinding\n"
            "16 written, 0 unchanged, 0 bad\n");
  EXPECT_EQ(good.out, "");

  std::ofstream(directory_ / "bad.yaml") << "kind: Image\napiVersion: v1\n";
  const Result bad =
      Run({"load", "--data-dir=DIR/store", "DIR/bad.yaml", "deploy/samples/empty.yaml"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(
      bad.err,
      HasSubstr("bad.yaml:1: metadata.name: must not be empty\n0 written, 1 unchanged, 1 bad\n"));

  EXPECT_THAT(Run({"dump", "--data-dir=DIR/store", "images"}).out, HasSubstr("\nkind: Image\n"));
  EXPECT_EQ(Run({"dump", "--data-dir=DIR/store", "--gzip", "--file=DIR/dump.yaml.gz"}).exit_code,
            0);
  EXPECT_EQ(Run({"load", "--data-dir=DIR/store", "DIR/dump.yaml.gz"}).err,
            "0 written, 16 unchanged, 0 bad\n");

  std::ofstream(directory_ / "cut") << "{\"key\":\"YQ==\"}\n";
  EXPECT_EQ(Run({"load", "--data-dir=DIR/store", "--raw", "DIR/cut"}).exit_code, 1);

  const Result got = Run({"get", "is", "demo/nodejs", "--data-dir=DIR/store", "-o", "json"});
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_TRUE(got.out.starts_with("{\"kind\":\"ImageStream\"")) << got.out;
  EXPECT_TRUE(got.out.ends_with("}\n"));
  EXPECT_EQ(Run({"get", "is", "nodejs", "-n", "demo", "--data-dir=DIR/store", "-o", "json"}).out,
            got.out);

  const Result absent = Run({"get", "image", "sha256:0", "--data-dir=DIR/store"});
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_EQ(absent.err, "strata-storage: /openshift.io/images/sha256:0: no such record\n");
}

TEST_F(Commands, ExitWithTwoWhenTheCommandLineIsWrong) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"load", "--data-dir=DIR/s"}, "FILE is required"},
      {{"load", "x.yaml"}, "one of --etcd-servers and --data-dir is needed"},
      {{"load", "x", "--etcd-servers=http://127.0.0.1:1", "--etcd-username=u"},
       "--etcd-username and --etcd-password-file go together"},
      {{"load", "x", "--etcd-servers=http://127.0.0.1:1", "--etcd-certfile=c"},
       "--etcd-certfile and --etcd-keyfile go together"},
      {{"verify", "--etcd-servers=http://127.0.0.1:1", "--etcd-username=u",
        "--etcd-password-file=DIR/absent"},
       "--etcd-password-file: "},
      {{"load", "--data-dir=DIR/s", "--etcd-servers=http://127.0.0.1:1", "x"},
       "--etcd-servers excludes --data-dir"},
      {{"dump", "--data-dir=DIR/absent"}, "Directory does not exist"},
      {{"dump", "pods", "--data-dir=DIR"}, "pods"},
      {{"dump", "--etcd-servers=127.0.0.1:2379"}, "isn't a URL like"},
      {{"get", "is", "nodejs", "--etcd-servers=http://127.0.0.1:1"},
       "image streams are named NAMESPACE/NAME"},
      {{"get", "image", "a/b", "--etcd-servers=http://127.0.0.1:1"}, "images have no namespace"},
      {{"get", "pod", "x", "--etcd-servers=http://127.0.0.1:1"},
       "pod is neither image, imagestream nor a key"},
      {{"get", "/a/b", "c", "--etcd-servers=http://127.0.0.1:1"},
       "give a key, or a kind and a name"},
      {{"get", "image", "x", "-o", "xml", "--data-dir=DIR"}, "xml"},
  };
  for (const auto& [arguments, message] : cases) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2) << message;
    EXPECT_THAT(result.err, HasSubstr(message));
  }
}

TEST_F(Commands, TakeFilesBehindTheirFlags) {
  const Result loaded = Run({"load", "--data-dir=DIR/store", "deploy/samples/empty.yaml",
                             "deploy/samples/rbac.yaml", "--namespace=ns"});
  EXPECT_EQ(loaded.exit_code, 0) << loaded.err;
  EXPECT_EQ(Run({"dump", "--data-dir=DIR/store", "imagestreams"}).exit_code, 0);
}

// It may hold what --raw writes, secrets of a cluster among it.
TEST_F(Commands, ADumpIsItsOwnersAloneAndThereWhenItIsWhole) {
  const fs::path file = directory_ / "dump";
  const auto text = [&] {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  Run({"load", "--data-dir=DIR/store", "deploy/samples/empty.yaml"});
  EXPECT_EQ(Run({"dump", "--data-dir=DIR/store", "--raw", "--file=DIR/dump"}).exit_code, 0);
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const std::string whole = text();
  EXPECT_THAT(whole, HasSubstr("\"key\""));

  std::ofstream(directory_ / "dump.new") << "of one that was cut off";
  {
    const auto cut_off = OutputFile::Make(file);
    ASSERT_TRUE(cut_off.ok()) << cut_off.status();
    Output output((*cut_off)->stream(), /*gzip=*/false);
    const testing_support::FullDisk full(10);
    EXPECT_TRUE(output.Write("more than there is room for").ok());
    EXPECT_FALSE((*cut_off)->Keep().ok());
  }
  EXPECT_EQ(text(), whole);
  EXPECT_FALSE(fs::exists(directory_ / "dump.new"));
  EXPECT_EQ(Run({"dump", "--data-dir=DIR/store", "--file=DIR/dump"}).exit_code, 0);
  EXPECT_THAT(text(), HasSubstr("kind: ImageStream"));
  EXPECT_THAT(std::string(base::Message(OutputFile::Make(directory_ / "absent/dump").status())),
              HasSubstr("absent/dump: No such file"));
}

TEST_F(Commands, ADumpIntoWhatIsNoFileIsWrittenThere) {
  Run({"load", "--data-dir=DIR/store", "deploy/samples/empty.yaml"});
  fs::create_symlink("/dev/stdout", directory_ / "link");
  EXPECT_THAT(Run({"dump", "--data-dir=DIR/store", "--file=DIR/link"}).out,
              HasSubstr("kind: ImageStream"));
  EXPECT_TRUE(fs::is_symlink(directory_ / "link"));

  const fs::path pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  EXPECT_EQ(Run({"dump", "--data-dir=DIR/store", "--file=DIR/pipe"}).exit_code, 0);
  std::string read_back(1 << 16, '\0');
  EXPECT_GT(read(reader, read_back.data(), read_back.size()), 0);
  EXPECT_THAT(read_back, HasSubstr("kind: ImageStream"));
  EXPECT_TRUE(fs::is_fifo(pipe));
  close(reader);
}

TEST_F(Commands, LoadingNothingIsAnError) {
  const Result nothing = Run({"load", "--data-dir=DIR/store", "deploy/samples/rbac.yaml"});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_THAT(nothing.err, HasSubstr("strata-storage: nothing was loaded: "
                                     "deploy/samples/rbac.yaml holds no Image"));
  std::ofstream(directory_ / "empty.json") << R"({"kind":"List","apiVersion":"v1","items":null})";
  EXPECT_EQ(Run({"load", "--data-dir=DIR/store", "DIR/empty.json"}).exit_code, 0);
}

TEST_F(Commands, NameTheFlagWhoseFileIsWrong) {
  const Result result =
      Run({"dump", "--etcd-servers=https://127.0.0.1:1", "--etcd-cafile=DIR/absent.pem"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, fmt::format("strata-storage: --etcd-cafile: cannot read {}/absent.pem: "
                                    "No such file or directory\n",
                                    directory_.string()));
}

TEST_F(Commands, ExplainThemselves) {
  for (const char* command : {"load", "dump", "get"}) {
    const Result result = Run({command, "--help"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, HasSubstr("--etcd-servers"));
    EXPECT_THAT(result.out, HasSubstr("--data-dir"));
  }
}

}  // namespace
}  // namespace strata::tool
