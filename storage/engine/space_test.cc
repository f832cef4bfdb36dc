// Room: the quota and its alarm, and defragmentation.
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "storage/engine/store_fixture_test.h"
#include "test/support/waiting.h"

static std::atomic<bool> maps_are_denied = false;

// In libc's place, for LMDB: where there is no memory for the map of a file. ThreadSanitizer calls
// it before it can be told of anything.
extern "C" __attribute__((no_sanitize("thread"))) void* mmap(void* at, size_t bytes, int access,
                                                             int flags, int file, off_t offset) {
  if (file < 0 || !maps_are_denied)
    // NOLINTNEXTLINE(performance-no-int-to-ptr): as the system says it
    return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, access, flags, file, offset));
  errno = ENOMEM;
  return MAP_FAILED;
}

namespace strata::engine {
namespace {

constexpr const char* kNoSpace = "etcdserver: mvcc: database space exceeded";

std::string PutSays(Store& store, const std::string& key, size_t bytes) {
  const auto put = store.Put({.key = key, .value = std::string(bytes, 'v')});
  return put.ok() ? "ok" : std::string(base::Message(put.status()));
}

// Until the quota is used up.
void Fill(StoreFixture& store) {
  for (int i = 0; i < 10'000 && PutSays(*store, "k" + std::to_string(i), 5000) == "ok"; ++i) {
  }
}

bool Becomes(const Store& store, bool alarm) {
  return testing_support::Eventually([&] { return store.has_alarm(Alarm::kNoSpace) == alarm; });
}

void End(Store& store, Alarm alarm) {
  std::atomic<bool> done = false;
  store.Submit(AlarmRequest{.alarm = alarm, .raise = false},
               [&](const base::StatusOr<AlarmResult>&) { done = true; });
  while (!done) std::this_thread::yield();
}

TEST(Quota, AWriteOverItRaisesTheAlarmAndOnlyWhatNeedsRoomIsRefusedUntilItEnds) {
  StoreFixture store({.quota_bytes = 1 << 20});
  Fill(store);
  ASSERT_TRUE(Becomes(*store, true));
  EXPECT_THAT(store.Metrics(),
              testing::AllOf(testing::HasSubstr("\nstrata_store_alarm{alarm=\"NOSPACE\"} 1\n"),
                             testing::HasSubstr("\netcd_server_quota_backend_bytes 1048576\n")));
  EXPECT_EQ(PutSays(*store, "small", 1), kNoSpace);
  EXPECT_EQ(base::Message(store->Grant({.ttl = 10}).status()), kNoSpace);
  TxnRequest puts;
  puts.failure.push_back({PutRequest{.key = "x", .value = "y"}});
  EXPECT_EQ(base::Message(store->Txn(puts).status()), kNoSpace) << "it could put";
  TxnRequest deletes;
  deletes.success.push_back({DeleteRequest{.key = "k0"}});
  EXPECT_TRUE(store->Txn(deletes).ok());
  EXPECT_EQ(store.Read({.key = "k1", .keys_only = true}), "k1=");
  EXPECT_TRUE(store->Delete({.key = "k", .range_end = "l"}).ok());

  store.Compact(store->revision());
  EXPECT_EQ(PutSays(*store, "small", 1), kNoSpace) << "there is room, but nobody ended the alarm";
  store.Reopen();
  EXPECT_TRUE(store->has_alarm(Alarm::kNoSpace)) << "it outlives a restart";
  End(*store, Alarm::kNoSpace);
  EXPECT_THAT(store.Metrics(), testing::HasSubstr("\nstrata_store_alarm{alarm=\"NOSPACE\"} 0\n"));
  EXPECT_EQ(PutSays(*store, "small", 1), "ok");
}

TEST(Quota, AnAlarmThatEndsWhileThereIsNoRoomComesBack) {
  StoreFixture store({.quota_bytes = 1 << 20});
  Fill(store);
  ASSERT_TRUE(Becomes(*store, true));
  End(*store, Alarm::kNoSpace);
  EXPECT_FALSE(store->has_alarm(Alarm::kNoSpace));
  EXPECT_EQ(PutSays(*store, "large", 50'000), kNoSpace);
  EXPECT_TRUE(Becomes(*store, true));
}

TEST(Compaction, GrowsTheMapIfItNeedsTo) {
  StoreFixture store({.map = {.initial_map_bytes = 1 << 20}});
  constexpr int64_t kMap = 8 << 20;
  for (int i = 0; store->Status()->size < kMap - (64 << 10); ++i)
    store.Put("k" + std::to_string(i % 7), std::string(300, 'v'));
  store.Compact(store->revision());
}

TEST(Room, AMapThatMemoryIsDeniedForEndsInErrorsUntilARestart) {
  StoreFixture store({.map = {.initial_map_bytes = 1 << 20}});
  store.Put("first", "v");
  maps_are_denied = true;
  int written = 0;
  std::string said;
  while (written < 1000 && (said = PutSays(*store, "k", 5000)) == "ok") ++written;
  EXPECT_THAT(said, testing::HasSubstr("Cannot allocate memory"));
  EXPECT_EQ(PutSays(*store, "k", 1), said);
  EXPECT_EQ(base::Message(store->failure()), said);
  EXPECT_FALSE(store->Range({.key = "first"}).ok());
  EXPECT_FALSE(store->Verify().ok());
  EXPECT_FALSE(store->TakeSnapshot().ok());
  maps_are_denied = false;
  store.Reopen();
  EXPECT_EQ(store->revision(), 2 + written);
  EXPECT_EQ(store.Read({.key = "first"}), "first=v");
  EXPECT_EQ(PutSays(*store, "k", 5000), "ok");
}

base::Status Defragment(Store& store) {
  std::atomic<bool> done = false;
  base::Status status;
  store.Submit(DefragmentRequest{}, [&](const base::StatusOr<DefragmentResult>& result) {
    status = result.status();
    done = true;
  });
  while (!done) std::this_thread::yield();
  return status;
}

TEST(Defragmentation, GivesSpaceBackAndKeepsEverything) {
  StoreFixture store;
  for (int i = 0; i < 300; ++i) store.Put("k" + std::to_string(i % 10), std::string(10'000, 'v'));
  store.Compact(store->revision());
  const std::string before = store.ReadAll();
  const auto hash = store->Hash(0)->hash;
  const int64_t size = store->Status()->size;
  ASSERT_TRUE(Defragment(*store).ok());
  EXPECT_LT(store->Status()->size, size / 5);
  EXPECT_EQ(store.ReadAll(), before);
  EXPECT_EQ(store->Hash(0)->hash, hash);
  EXPECT_EQ(store.Put("after", "1"), 302);
  store.Reopen();
  EXPECT_EQ(store->revision(), 302);
  EXPECT_FALSE(std::filesystem::exists(store.path() + "/records.mdb.defragmented"));
}

TEST(Defragmentation, ReadersAndWritersGoOnAround) {
  StoreFixture store;
  for (int i = 0; i < 200; ++i) store.Put("k" + std::to_string(i), std::string(1000, 'v'));
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0, reads = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto read = store->Range({.key = "k", .range_end = "l", .keys_only = true});
        failures += !read.ok() || read->kvs.size() != 200;
        ++reads;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) failures += !store->Put({.key = "w", .value = "x"}).ok();
  });
  threads.emplace_back([&] {
    while (!stop) failures += !store->Verify().ok() || !store->Hash(0).ok();
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Defragment(*store).ok());
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_GT(reads, 0);
}

}  // namespace
}  // namespace strata::engine
