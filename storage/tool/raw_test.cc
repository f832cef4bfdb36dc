#include "storage/tool/raw.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "storage/tool/connection.h"
#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;

class Raw : public testing::Test {
 protected:
  RecordStore& Open(const std::string& name) {
    auto opened =
        Connection::Open({.data_dir = (root / name).string()}, clock, obs::NullLogger(), metrics);
    EXPECT_TRUE(opened.ok()) << opened.status();
    connections.push_back(*std::move(opened));
    return connections.back()->store();
  }
  std::string Dump(RecordStore& store, const std::string& prefix = "") {
    char* bytes = nullptr;
    size_t size = 0;
    std::FILE* const memory = open_memstream(&bytes, &size);
    Output output(memory, false);
    EXPECT_TRUE(DumpRaw(store, prefix, output).ok());
    EXPECT_TRUE(output.Finish().ok());
    std::fclose(memory);
    std::string text(bytes, size);
    std::free(bytes);
    return text;
  }
  // "written/unchanged/bad", and what was said of bad lines.
  std::string Load(RecordStore& store, const std::string& text) {
    std::ofstream(root / "file", std::ios::binary) << text;
    std::string said;
    Console console(clock, [&](std::string_view line) { said += " " + std::string(line); });
    RawCounts counts;
    EXPECT_TRUE(LoadRaw(store, root / "file", 1 << 30, console, counts).ok());
    for (size_t at = 0; (at = said.find(root.string())) != std::string::npos;)
      said.erase(at, root.string().size() + 1);
    return std::to_string(counts.written) + "/" + std::to_string(counts.unchanged) + "/" +
           std::to_string(counts.bad) + said;
  }

  const testing_support::TempDir dir;
  const fs::path root = dir.path();
  base::SystemClock clock;
  obs::Metrics metrics;
  std::vector<std::unique_ptr<Connection>> connections;
};

TEST_F(Raw, AnyKeyAndAnyValueComeOverAsTheyAre) {
  RecordStore& from = Open("from");
  const std::string odd("\0\xff key", 6);
  ASSERT_TRUE(
      from.Commit({{"/registry/pods/a", std::string("k8s\0\x01", 5), 0}, {odd, "", 0}}).ok());
  for (int i = 0; i < 1200; ++i)
    ASSERT_TRUE(from.Commit({{"/many/" + std::to_string(i), std::to_string(i), 0}}).ok());
  const std::string dumped = Dump(from);
  EXPECT_EQ(std::count(dumped.begin(), dumped.end(), '\n'), 1203);
  RecordStore& to = Open("to");
  EXPECT_EQ(Load(to, dumped), "1202/0/0");
  EXPECT_EQ(Dump(to), dumped);
  EXPECT_EQ(Load(to, dumped), "0/1202/0") << "a second time nothing is written";
  EXPECT_EQ(Dump(to, "/registry/"),
            "{\"key\":\"L3JlZ2lzdHJ5L3BvZHMvYQ==\",\"value\":\"azhzAAE=\"}\n{\"keys\":\"1\"}\n");
}

TEST_F(Raw, OfTwoLinesWithOneKeyTheLaterCounts) {
  RecordStore& store = Open("store");
  EXPECT_EQ(Load(store,
                 "{\"key\":\"YQ==\",\"value\":\"MQ==\"}\n{\"key\":\"YQ==\",\"value\":\"Mg==\"}\n{"
                 "\"keys\":\"2\"}\n"),
            "2/0/0");
  EXPECT_EQ(Dump(store), "{\"key\":\"YQ==\",\"value\":\"Mg==\"}\n{\"keys\":\"1\"}\n");
}

TEST_F(Raw, BadLinesAreToldAndTheOthersLoaded) {
  EXPECT_EQ(Load(Open("store"),
                 "nonsense\n\n{\"key\":\"YQ==\"}\n{\"value\":\"MQ==\"}\n{\"key\":\"*\"}\n"
                 "{\"key\":\"Yg==\",\"value\":\"*\"}\n{\"keys\":\"5\"}\n"),
            "1/0/4 file:1: expected an object, got null file:4: there is no key in base64 file:5: "
            "there is no key in base64 "
            "file:6: the value is not base64");
}

// What dump printed before it ended, or lost its store, is loaded, and isn't taken for all of it.
TEST_F(Raw, ADumpThatIsNotWholeIsTold) {
  RecordStore& from = Open("from");
  for (const char* const key : {"/a", "/b", "/c"})
    ASSERT_TRUE(from.Commit({{key, "value", 0}}).ok());
  const std::string whole = Dump(from);
  EXPECT_EQ(Load(Open("whole"), whole + whole), "3/3/0") << "one behind the other";

  const std::string unended =
      " it ends without the line that says how many keys there are, {\"keys\":\"N\"}";
  RecordStore& to = Open("to");
  EXPECT_EQ(Load(to, ""), "0/0/1 file:0:" + unended);
  const size_t second = whole.find('\n', whole.find('\n') + 1) + 1;
  EXPECT_EQ(Load(to, whole.substr(0, second)), "2/0/1 file:2:" + unended);
  EXPECT_EQ(Load(to, whole + whole.substr(0, second)), "1/4/1 file:6:" + unended);
  EXPECT_EQ(Load(to, whole.substr(whole.find('\n') + 1)),
            "0/2/1 file:3: 3 keys were dumped, and 2 are here");
}

}  // namespace
}  // namespace strata::tool
