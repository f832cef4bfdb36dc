#include "storage/tool/input.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLimit = 1 << 30;

std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class Input : public testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view bytes) {
    const fs::path path = directory_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path.string();
  }

  // What ReadInput makes of a file: its text, or the error without the directory.
  std::string Read(const std::string& path, size_t limit = kLimit,
                   size_t memory = Spool::kMemoryLimit) {
    Spool spool(memory);
    if (const base::Status status = ReadInput(path, limit, spool); !status.ok()) {
      std::string message(base::Message(status));
      if (const size_t at = message.find(directory_.string()); at != std::string::npos) {
        message.erase(at, directory_.string().size() + 1);
      }
      return "error: " + message;
    }
    const auto view = spool.View();
    return view.ok() ? std::string(*view) : "error: " + std::string(base::Message(view.status()));
  }

  std::vector<std::string> Expand(const fs::path& path) {
    auto files = ExpandInput(path.string());
    std::vector<std::string> names;
    if (!files.ok()) return {"error: " + std::string(base::Message(files.status()))};
    for (const std::string& file : *files) names.push_back(fs::relative(file, directory_).string());
    return names;
  }

  const testing_support::TempDir dir_;
  const fs::path directory_ = dir_.path();
};

TEST_F(Input, ReadsPlainAndGzippedFiles) {
  EXPECT_EQ(Read(Write("a", "kind: A\n")), "kind: A\n");
  EXPECT_EQ(Read(Write("empty", "")), "");
  EXPECT_EQ(Read(Write("one-byte", "x")), "x");
  EXPECT_EQ(Read(Write("a.gz", Gzip("kind: A\n"))), "kind: A\n");
  EXPECT_EQ(Read(Write("two-members.gz", Gzip("a\n") + Gzip("b\n"))), "a\nb\n");
  const std::string big(3'000'000, 'x');
  EXPECT_EQ(Read(Write("big.gz", Gzip(big))), big);
}

TEST_F(Input, SpillsToATemporaryFileWithoutChangingAByte) {
  std::string text;
  for (int i = 0; text.size() < 5'000'000; ++i) text += fmt::format("line {}\n", i);
  EXPECT_EQ(Read(Write("big", text), kLimit, 1000), text);
  EXPECT_EQ(Read(Write("big.gz", Gzip(text)), kLimit, 1000), text);
}

TEST_F(Input, SaysWhatIsWrong) {
  const std::string packed = Gzip(std::string(10'000, 'x'));
  EXPECT_EQ(Read((directory_ / "absent").string()), "error: absent: No such file or directory");
  EXPECT_EQ(Read(Write("cut.gz", packed.substr(0, packed.size() - 5))),
            "error: cut.gz: gzip: the stream is cut short");
  EXPECT_EQ(Read(Write("bad.gz", packed.substr(0, 12) + "garbage garbage")),
            "error: bad.gz: gzip: the stream is damaged");
  EXPECT_EQ(Read(Write("bomb.gz", packed), 9'999), "error: bomb.gz: more than 9999 bytes");
  std::string tar(1024, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_EQ(Read(Write("a.tar.gz", Gzip(tar))),
            "error: a.tar.gz: a tar archive: unpack it, and give the directory");
  fs::create_directory(directory_ / "d");
  EXPECT_EQ(Read((directory_ / "d").string()), "error: d: Is a directory");
}

TEST_F(Input, TakesManifestsOfADirectoryInOrder) {
  for (const char* name :
       {"b.yaml", "a/z.json.gz", "a/README.md", "c.yml", "notes.txt", "a.yaml.gz"})
    Write(name, "");
  EXPECT_EQ(Expand(directory_),
            (std::vector<std::string>{"a.yaml.gz", "a/z.json.gz", "b.yaml", "c.yml"}));
  EXPECT_EQ(Expand(directory_ / "notes.txt"), std::vector<std::string>{"notes.txt"})
      << "what is named is taken";
  EXPECT_EQ(Expand(directory_ / "absent"),
            std::vector<std::string>{"error: " + (directory_ / "absent").string() +
                                     ": No such file or directory"});
}

TEST_F(Input, TakesOnlyImagesAndStreamsOfAMustGather) {
  const std::string root = "must-gather.1/quay-io-sha256-1/";
  for (const char* name : {"cluster-scoped-resources/image.openshift.io/images/sha256:1.yaml",
                           "cluster-scoped-resources/core/nodes/a.yaml",
                           "namespaces/a/image.openshift.io/imagestreams.yaml",
                           "namespaces/a/image.openshift.io/imagestreams/x.yaml",
                           "namespaces/a/core/pods.yaml", "version.yaml"}) {
    Write(root + name, "");
  }
  EXPECT_EQ(Expand(directory_ / "must-gather.1"),
            (std::vector<std::string>{
                root + "cluster-scoped-resources/image.openshift.io/images/sha256:1.yaml",
                root + "namespaces/a/image.openshift.io/imagestreams.yaml",
                root + "namespaces/a/image.openshift.io/imagestreams/x.yaml"}));
  EXPECT_EQ(Expand(directory_ / root / "cluster-scoped-resources/").size(), 1u);
  EXPECT_EQ(Expand(directory_ / root / "namespaces/a/image.openshift.io").size(), 2u);
}

TEST_F(Input, DoesNotFollowLinksToDirectories) {
  Write("a/x.yaml", "");
  fs::create_directory_symlink(directory_, directory_ / "a/loop");
  EXPECT_EQ(Expand(directory_), std::vector<std::string>{"a/x.yaml"});
}

}  // namespace
}  // namespace strata::tool
