#include "lib/obs/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/obs/log.h"
#include "test/support/temp_dir.h"

namespace strata::obs {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// A machine's /proc and /sys, as files.
class AMachine : public testing::Test {
 protected:
  void Write(const std::string& file, const std::string& text) {
    const fs::path path = fs::path(dir_.path()) / file;
    fs::create_directories(path.parent_path());
    // Whole at once: somebody reads it.
    std::ofstream(path.string() + ".new") << text;
    fs::rename(path.string() + ".new", path);
  }
  // Resident, and of these of files.
  void Takes(size_t pages, size_t of_files) {
    Write("proc/self/statm",
          "99999 " + std::to_string(pages) + " " + std::to_string(of_files) + " 1 0 1 0\n");
  }
  ProcessMemory Memory() { return ProcessMemory(dir_.path()); }

  testing_support::TempDir dir_;
};

TEST_F(AMachine, AllowsWhatTheLeastOfItsGroupsAllows) {
  struct Case {
    const char* what;
    std::vector<std::pair<const char*, const char*>> files;
    size_t allowed;
  };
  const size_t machine = Memory().allowed();
  EXPECT_GT(machine, size_t{64} << 20);
  const char* const v2 = "0::/kubepods/pod1/c1\n";
  const char* const v1 = "9:cpu,cpuacct:/a\n4:memory:/docker/c1\n0::/\n";
  for (const Case& c : std::vector<Case>{
           {"a container that sees its own group as the root",
            {{"cgroup", v2}, {"memory.max", "1000000\n"}},
            1'000'000},
           {"the second version's own group",
            {{"cgroup", v2}, {"kubepods/pod1/c1/memory.max", "2000000\n"}},
            2'000'000},
           {"a group above it",
            {{"cgroup", v2},
             {"kubepods/pod1/c1/memory.max", "max\n"},
             {"kubepods/pod1/memory.max", "3000000\n"},
             {"kubepods/memory.max", "4000000\n"}},
            3'000'000},
           {"no bound", {{"cgroup", v2}, {"kubepods/pod1/c1/memory.max", "max\n"}}, machine},
           {"the first version",
            {{"cgroup", v1}, {"memory/docker/c1/memory.limit_in_bytes", "5000000\n"}},
            5'000'000},
           {"the first version in a container",
            {{"cgroup", v1}, {"memory/memory.limit_in_bytes", "6000000\n"}},
            6'000'000},
           {"the first version without a bound",
            {{"cgroup", v1}, {"memory/docker/c1/memory.limit_in_bytes", "9223372036854771712\n"}},
            machine},
           {"none of them", {{"cgroup", "a line that isn't one\n::\n"}}, machine},
           {"no number", {{"cgroup", v2}, {"memory.max", "many\n"}}, machine}}) {
    SCOPED_TRACE(c.what);
    fs::remove_all(fs::path(dir_.path()) / "sys");
    for (const auto& [file, text] : c.files)
      Write(
          file == std::string("cgroup") ? "proc/self/cgroup" : std::string("sys/fs/cgroup/") + file,
          text);
    EXPECT_EQ(Memory().allowed(), c.allowed);
  }
}

TEST_F(AMachine, CountsWhatTheProcessAndItsSocketsTakeWithoutPagesOfFiles) {
  EXPECT_EQ(Memory().Taken(), std::nullopt) << "nothing can be read";
  Takes(500, 200);
  EXPECT_EQ(Memory().Taken(), 300 * kPage);
  Write("proc/self/cgroup", "0::/pod\n");
  Write("sys/fs/cgroup/pod/memory.stat", "anon 1\nfile 2\nsock 4096\nshmem 3\n");
  EXPECT_EQ(Memory().Taken(), 300 * kPage + 4096);
  Write("sys/fs/cgroup/pod/memory.stat", "anon 1\n");
  EXPECT_EQ(Memory().Taken(), 300 * kPage);
}

TEST_F(AMachine, SaysOfThisProcessWhatItTakes) {
  const std::vector<char> held(16 << 20, 'x');
  const ProcessMemory memory;
  EXPECT_GT(memory.Taken().value_or(0), held.size());
  EXPECT_LT(memory.Taken().value_or(0), memory.allowed());
}

TEST_F(AMachine, IsShortOfMemoryFromFourFifthsUntilThreeQuarters) {
  Takes(799, 0);
  Metrics metrics;

  base::MemoryPressure pressure;
  std::atomic<int> relieved = 0;
  const MemoryWatch watch(
      {.limit = 1000 * kPage, .interval = std::chrono::milliseconds(1)}, Memory(), pressure,
      [&] { ++relieved; }, NullLogger(), metrics);
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_memory_pressure 0\n"));
  EXPECT_EQ(relieved, 0);
  Takes(800, 0);
  while (!pressure.high() || relieved < 3) std::this_thread::yield();
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_memory_pressure 1\n"));
  Takes(750, 0);
  for (const int before = relieved; relieved < before + 3;) std::this_thread::yield();
  EXPECT_TRUE(pressure.high());
  std::filesystem::remove(fs::path(dir_.path()) / "proc/self/statm");
  ASSERT_EQ(Memory().Taken(), std::nullopt);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(pressure.high()) << "nobody knows";
  Takes(749, 0);
  while (pressure.high()) std::this_thread::yield();
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_memory_pressure 0\n"));
}

}  // namespace
}  // namespace strata::obs
