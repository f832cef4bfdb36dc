#include "lib/base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "test/support/temp_dir.h"

namespace strata::base {
namespace {

using testing::HasSubstr;

class ReadFileTest : public testing::Test {
 protected:
  std::string Why(const std::string& name, size_t max_bytes = 100) {
    return std::string(Message(ReadFile(name, max_bytes).status()));
  }

  const testing_support::TempDir dir;
  const std::filesystem::path folder = dir.path();
  const std::string pipe = folder / "pipe";
};

TEST_F(ReadFileTest, NamesTheFileAndWhatIsWrong) {
  std::ofstream(folder / "four") << "four";
  EXPECT_EQ(*ReadFile(folder / "four", 4), "four");
  EXPECT_THAT(Why(folder / "four", 3), HasSubstr("four: File too large"));
  EXPECT_THAT(Why(folder / "absent"), HasSubstr("absent: No such file"));
  EXPECT_THAT(Why(folder), HasSubstr("Is a directory"));
  EXPECT_THAT(Why("/dev/zero"), HasSubstr("/dev/zero: File too large"));
}

// A rotation that ends in one must not hold up the thread that looks at files.
TEST_F(ReadFileTest, APipeThatNobodyWritesToIsEmptyAndOneThatIsHeldOpenAnError) {
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(*ReadFile(pipe, 100), "");
  const int held = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_THAT(Why(pipe), HasSubstr("pipe: it is no regular file, and nothing comes from it"));
  close(held);
}

// <(…) of a shell.
TEST_F(ReadFileTest, APipeIsReadToItsEnd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::thread writer([&] {
    for (const char part : {'a', 'b', 'c'}) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      EXPECT_EQ(write(ends[1], &part, 1), 1);
    }
    close(ends[1]);
  });
  EXPECT_EQ(*ReadFile("/dev/fd/" + std::to_string(ends[0]), 100), "abc");
  writer.join();
  close(ends[0]);
}

TEST_F(ReadFileTest, BoundsWhatItReads) {
  EXPECT_FALSE(ReadFile("/dev/zero", 1 << 20).ok());
  EXPECT_FALSE(ReadFile("/nonexistent", 1 << 20).ok());
}

TEST_F(ReadFileTest, ListsAFolder) {
  std::ofstream(folder / "a") << "x";
  std::filesystem::create_directory(folder / "b");
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : ListFolder(folder, error))
    names.push_back(entry.path().filename().string() + (entry.is_directory() ? "/" : ""));
  EXPECT_THAT(names, testing::UnorderedElementsAre("a", "b/"));
  EXPECT_FALSE(error);
  EXPECT_TRUE(ListFolder(folder / "c", error).empty());
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
}

}  // namespace
}  // namespace strata::base
