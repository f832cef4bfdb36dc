#include "lib/transport/files/file_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>

#include "test/support/temp_dir.h"

namespace strata::files {
namespace {

using ::testing::ElementsAre;

class FileWatcherTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name)) << content;
  }

  FileWatcher::Loader Record() {
    return [this](const std::vector<std::string>& contents) -> base::Status {
      std::string all;
      for (const std::string& content : contents) all += content + "|";
      loaded_.push_back(all);
      if (all.find("bad") != std::string::npos) return base::InvalidArgumentError("it is bad");
      return base::OkStatus();
    };
  }

  const testing_support::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
  obs::Metrics metrics_;
  std::vector<std::string> loaded_;
  FileWatcher watcher_{{.poll_interval = std::chrono::milliseconds(0), .looks_between_reads = 3},
                       obs::NullLogger(),
                       metrics_};
};

TEST_F(FileWatcherTest, LoadsAtOnceAndAgainOnlyWhenTheContentChanges) {
  Write("a", "1");
  Write("b", "x");
  ASSERT_TRUE(watcher_.Watch("pair", {Path("a"), Path("b")}, Record()).ok());
  for (int i = 0; i < 10; ++i) watcher_.Poll();
  Write("b", "y+");
  watcher_.Poll();
  Write("b", "y+");  // touched, equal
  watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("1|x|", "1|y+|"));
}

TEST_F(FileWatcherTest, RefusesWhatCannotBeLoadedAtFirst) {
  EXPECT_FALSE(watcher_.Watch("pair", {Path("missing")}, Record()).ok());
  Write("a", "bad");
  EXPECT_EQ(base::Message(watcher_.Watch("pair", {Path("a")}, Record())), "it is bad");
}

TEST_F(FileWatcherTest, OffersABadContentOnce) {
  Write("a", "good");
  ASSERT_TRUE(watcher_.Watch("one", {Path("a")}, Record()).ok());
  Write("a", "bad!!");
  for (int i = 0; i < 10; ++i) watcher_.Poll();
  Write("a", "better");
  watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("good|", "bad!!|", "better|"));
  EXPECT_NE(metrics_.Text().find(R"(strata_file_reloads_total{files="one",result="error"} 1)"),
            std::string::npos);
}

TEST_F(FileWatcherTest, SeesListedFilesComeAndGo) {
  std::vector<std::string> there = {Path("a")};
  bool readable = true;
  Write("a", "1");
  const auto list = [&]() -> base::StatusOr<std::vector<std::string>> {
    if (!readable) return base::UnavailableError("can't be listed");
    return there;
  };
  ASSERT_TRUE(watcher_
                  .WatchListed("folder", list,
                               [this](const std::vector<FileWatcher::File>& files) {
                                 std::string all;
                                 for (const auto& file : files) {
                                   all += std::filesystem::path(file.path).filename().string() +
                                          file.content + "|";
                                 }
                                 loaded_.push_back(all);
                                 return base::OkStatus();
                               })
                  .ok());
  Write("b", "2");
  there.push_back(Path("b"));
  watcher_.Poll();
  readable = false;
  for (int i = 0; i < 5; ++i) watcher_.Poll();
  readable = true;
  there = {};
  watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("a1|", "a1|b2|", ""));
}

TEST_F(FileWatcherTest, KeepsWhatItHasWhileAFileIsMissing) {
  Write("a", "1");
  ASSERT_TRUE(watcher_.Watch("one", {Path("a")}, Record()).ok());
  std::filesystem::remove(Path("a"));
  for (int i = 0; i < 5; ++i) watcher_.Poll();
  Write("a", "2");
  watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("1|", "2|"));
}

TEST_F(FileWatcherTest, ReadsAFileAsSoonAsItCanBeRead) {
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "UBSan wants descriptors to learn of a type";
#endif
#endif
  Write("a", "1");
  ASSERT_TRUE(watcher_.Watch("one", {Path("a")}, Record()).ok());
  Write("a", "2+");
  // It can be looked at and not opened, as where its mode is wrong.
  rlimit had{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &had), 0);
  const rlimit none = {0, had.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 2; ++i) watcher_.Poll();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &had), 0);
  EXPECT_THAT(loaded_, ElementsAre("1|"));
  watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("1|", "2+|"));
}

TEST_F(FileWatcherTest, SeesASymlinkThatIsSwappedAsVolumesAreMounted) {
  std::filesystem::create_directories(folder_ / "v1");
  std::filesystem::create_directories(folder_ / "v2");
  Write("v1/token", "one");
  Write("v2/token", "two");
  std::filesystem::create_directory_symlink("v1", folder_ / "..data");
  std::filesystem::create_symlink("..data/token", folder_ / "token");
  ASSERT_TRUE(watcher_.Watch("token", {Path("token")}, Record()).ok());
  std::filesystem::create_directory_symlink("v2", folder_ / "..data_tmp");
  std::filesystem::rename(folder_ / "..data_tmp", folder_ / "..data");
  watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("one|", "two|"));
}

TEST_F(FileWatcherTest, SeesAChangeThatKeepsSizeAndTime) {
  Write("a", "1");
  const auto time = std::filesystem::last_write_time(Path("a"));
  ASSERT_TRUE(watcher_.Watch("one", {Path("a")}, Record()).ok());
  Write("a", "2");
  std::filesystem::last_write_time(Path("a"), time);
  for (int i = 0; i < 3; ++i) watcher_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("1|", "2|"));
}

TEST_F(FileWatcherTest, LooksByItself) {
  Write("a", "1");
  absl::Mutex mu;
  int loads = 0;
  FileWatcher watcher({.poll_interval = std::chrono::milliseconds(5)}, obs::NullLogger(), metrics_);
  ASSERT_TRUE(watcher
                  .Watch("one", {Path("a")},
                         [&](const std::vector<std::string>&) {
                           absl::MutexLock lock(&mu);
                           ++loads;
                           return base::OkStatus();
                         })
                  .ok());
  Write("a", "22");
  const auto reloaded = [&] { return loads >= 2; };
  absl::MutexLock lock(&mu);
  EXPECT_TRUE(mu.AwaitWithTimeout(absl::Condition(&reloaded), absl::Seconds(10)));
}

}  // namespace
}  // namespace strata::files
