#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/process.h"
#include "storage/engine/store_fixture_test.h"

namespace strata::engine {
namespace {

TEST(Store, GrowsItsMapUnderReadersAndRefusesAtTheLimitWithoutHarm) {
  StoreFixture store({.map = {.initial_map_bytes = 1 << 18, .max_map_bytes = 1 << 22}});
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) store.ReadAll();
  });
  int written = 0;
  base::Status refusal;
  while (written < 10'000) {
    const auto result =
        store->Put({.key = "k" + std::to_string(written), .value = std::string(8000, 'v')});
    if (!result.ok()) {
      refusal = result.status();
      break;
    }
    ++written;
  }
  stop = true;
  reader.join();
  EXPECT_EQ(base::Message(refusal), "etcdserver: mvcc: database space exceeded");
  EXPECT_GT(written, 100);
  EXPECT_EQ(store->Range({.key = kAll, .range_end = kAll, .count_only = true})->count, written);
  EXPECT_EQ(store->revision(), written + 1);
  store.Reopen();
  EXPECT_EQ(store->Range({.key = kAll, .range_end = kAll, .count_only = true})->count, written);
}

// Runs `child` in a process of its own; it tells through the pipe.
template <typename Child>
pid_t Spawn(int (&pipe_ends)[2], Child child) {
  if (pipe(pipe_ends) != 0) return -1;
  const pid_t pid = fork();
  if (pid != 0) {
    close(pipe_ends[1]);
    return pid;
  }
  close(pipe_ends[0]);
  child(pipe_ends[1]);
  _exit(0);
}

// Opens the store and puts "k<i>" = "<i>" for i from `next` on, telling each i once it is
// acknowledged, until an error.
void WriteAndTell(const std::string& path, int next, int fd) {
  obs::Metrics metrics;
  const base::SystemClock clock;
  auto store = Store::Open(path, {.scrub_changes = 3}, clock, obs::NullLogger(), metrics);
  if (!store.ok()) return;
  for (int i = next;; ++i) {
    if (!(*store)->Put({.key = "k" + std::to_string(i), .value = std::to_string(i)}).ok()) return;
    if (write(fd, &i, sizeof(i)) != sizeof(i)) return;
    if (i % 10 == 0) (void)(*store)->Compact({.revision = (*store)->revision() - 5});
  }
}

TEST(Store, KeepsEveryAcknowledgedWriteWhenItIsKilled) {
  testing_support::TempDir dir;
  int next = 0;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    const pid_t pid = Spawn(ends, [&](int fd) { WriteAndTell(dir.path(), next, fd); });
    ASSERT_GT(pid, 0);
    int acknowledged = -1;
    for (int i = 0; i < 10 + round * 7; ++i) {
      ASSERT_EQ(read(ends[0], &acknowledged, sizeof(acknowledged)),
                static_cast<ssize_t>(sizeof(acknowledged)));
    }
    kill(pid, SIGKILL);
    while (read(ends[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged)) {
    }
    close(ends[0]);
    waitpid(pid, nullptr, 0);

    obs::Metrics metrics;
    const base::SystemClock clock;
    auto store = Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
    ASSERT_TRUE(store.ok()) << store.status();
    const int64_t count =
        (*store)->Range({.key = "k", .range_end = "l", .count_only = true})->count;
    EXPECT_GE(count, acknowledged + 1);
    EXPECT_LE(count, acknowledged + 2) << "one write may have been done without an answer";
    for (int i = 0; i <= acknowledged; ++i) {
      const auto found = (*store)->Range({.key = "k" + std::to_string(i)});
      ASSERT_EQ(found->kvs.size(), 1u) << i;
      ASSERT_EQ(found->kvs[0].value, std::to_string(i));
    }
    next = static_cast<int>(count);
  }
}

TEST(Store, RefusesWritesOnAFullDiskAndLosesNothing) {
  testing_support::TempDir dir;
  int ends[2];
  const pid_t pid = Spawn(ends, [&](int fd) {
    // A limit on the file's size fails as a full disk does: in the middle of a commit.
    base::RefuseWhatIsTooLarge();
    const rlimit limit{4 << 20, 4 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    obs::Metrics metrics;
    const base::SystemClock clock;
    auto store = Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
    int refused = 0;
    for (int i = 0; i < 2000 && refused < 5; ++i) {
      const auto result =
          (*store)->Put({.key = "k" + std::to_string(i), .value = std::string(4000, 'v')});
      if (result.ok()) {
        if (write(fd, &i, sizeof(i)) != sizeof(i)) _exit(1);
      } else if (absl::IsResourceExhausted(result.status())) {
        ++refused;
      } else {
        fprintf(stderr, "%s\n", result.status().ToString().c_str());
        _exit(2);
      }
    }
    // It still answers, and takes what fits.
    const auto read = (*store)->Range({.key = "k0"});
    _exit(refused == 5 && read.ok() && read->kvs.size() == 1 ? 0 : 3);
  });
  ASSERT_GT(pid, 0);
  std::vector<int> acknowledged;
  int i = 0;
  while (read(ends[0], &i, sizeof(i)) == sizeof(i)) acknowledged.push_back(i);
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_GT(acknowledged.size(), 50u);

  obs::Metrics metrics;
  const base::SystemClock clock;
  auto store = Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
  ASSERT_TRUE(store.ok()) << store.status();
  for (const int key : acknowledged) {
    EXPECT_EQ((*store)->Range({.key = "k" + std::to_string(key)})->kvs.size(), 1u) << key;
  }
  EXPECT_EQ((*store)->Range({.key = "k", .range_end = "l", .count_only = true})->count,
            static_cast<int64_t>(acknowledged.size()));
  EXPECT_TRUE((*store)->Put({.key = "again"}).ok());
}

}  // namespace
}  // namespace strata::engine
