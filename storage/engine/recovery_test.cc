// What a store is opened from that didn't end orderly: its file as it happens to be, and its
// write-ahead log.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "storage/engine/layout.h"
#include "storage/engine/store_fixture_test.h"
#include "test/support/full_disk.h"

namespace strata::engine {
namespace {

TEST(Recovery, TakesOverAStoreFromBeforeTheWriteAheadLog) {
  StoreFixture store;
  store.Put("k", "v");
  store.Close();
  {
    auto env = tree::Environment::Open(store.path() + "/records.mdb", {});
    auto txn = (*env)->Begin();
    ASSERT_TRUE(txn->PutBare(tree::Table::kMeta, kMetaFormat, EncodeNumber(2)).ok());
    ASSERT_TRUE(txn->Commit().ok());
  }
  std::filesystem::remove(store.path() + "/records.mdb-wal");
  store.Open();
  EXPECT_EQ(store.ReadAll(), "k=v");
  EXPECT_EQ(store.Put("more", "w"), 3);
}

// A copy of what a process leaves that is killed now.
void CopyAsKilled(const std::string& from, const std::string& to) {
  for (const char* name : {"/records.mdb", "/records.mdb-wal"})
    std::filesystem::copy_file(from + name, to + name,
                               std::filesystem::copy_options::overwrite_existing);
}

TEST(Recovery, IsWholeInOneFileOnceItIsClosed) {
  StoreFixture store;
  for (int i = 0; i < 100; ++i) store.Put("k" + std::to_string(i), "v");
  const std::string all = store.ReadAll();
  store.Close();
  std::filesystem::remove(store.path() + "/records.mdb-wal");
  store.Open();
  EXPECT_EQ(store.ReadAll(), all);
}

TEST(Recovery, RedoesWhatTheFileLacks) {
  // Checkpoints at many distances from the end.
  StoreFixture store({.map = {.changes_between_checkpoints = 40}});
  testing_support::TempDir copy;
  base::FakeClock clock;
  obs::Metrics metrics;
  for (int i = 0; i < 120; ++i) {
    store.Put("k" + std::to_string(i % 9), std::string(static_cast<size_t>(i * 97 % 5000), 'v'));
    if (i % 7 == 3) store.Delete("k" + std::to_string(i % 4));
    if (i % 20 == 19) store.Compact(store->revision() - 8);
    CopyAsKilled(store.path(), copy.path());
    const auto again = Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics);
    ASSERT_TRUE(again.ok()) << i << " " << again.status();
    ASSERT_EQ((*again)->revision(), store->revision()) << i;
    ASSERT_EQ((*again)->Hash(0)->hash, store->Hash(0)->hash) << i;
    const auto verified = (*again)->Verify();
    ASSERT_TRUE(verified.ok()) << i << " " << verified.status();
  }
}

// However the file was written since the checkpoint: its pages in any order, all or none of them.
TEST(Recovery, BelievesNoneOfTheFilesOwnMetaPages) {
  StoreFixture store;
  for (int i = 0; i < 50; ++i) store.Put("k" + std::to_string(i), "v");
  testing_support::TempDir copy;
  CopyAsKilled(store.path(), copy.path());
  const int file = open((copy.path() + "/records.mdb").c_str(), O_WRONLY);
  const std::string garbage(2 * 4096, 'x');
  ASSERT_EQ(pwrite(file, garbage.data(), garbage.size(), 0), static_cast<ssize_t>(garbage.size()));
  close(file);
  base::FakeClock clock;
  obs::Metrics metrics;
  const auto again = Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Hash(0)->hash, store->Hash(0)->hash);
}

TEST(Recovery, CommitsWhatIsTooLargeForTheLogInTheFile) {
  StoreFixture store;
  testing_support::TempDir copy;
  store.Put("before", "1");
  std::vector<Op> ops;
  for (int i = 0; i < 10; ++i)
    ops.push_back(
        {PutRequest{.key = "large" + std::to_string(i), .value = std::string(1 << 20, 'v')}});
  ASSERT_TRUE(store->Txn({.success = ops}).ok());
  for (const char* name : {"first", "second"}) {
    CopyAsKilled(store.path(), copy.path());
    base::FakeClock clock;
    obs::Metrics metrics;
    const auto again = Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ((*again)->Hash(0)->hash, store->Hash(0)->hash);
    store.Put(name, "after it");
  }
}

// The power failed before the file's new length reached the disk.
TEST(Recovery, GrowsTheMapForWhatItRedoes) {
  StoreFixture store({.map = {.initial_map_bytes = 1 << 20}});
  store.Reopen();
  const auto settled = std::filesystem::file_size(store.path() + "/records.mdb");
  for (int i = 0; i < 300; ++i) store.Put("k" + std::to_string(i), "v");
  testing_support::TempDir copy;
  CopyAsKilled(store.path(), copy.path());
  std::filesystem::resize_file(copy.path() + "/records.mdb", settled);
  base::FakeClock clock;
  obs::Metrics metrics;
  const auto again = Store::Open(copy.path(), {.map = {.initial_map_bytes = 1 << 20}}, clock,
                                 obs::NullLogger(), metrics);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Hash(0)->hash, store->Hash(0)->hash);
}

TEST(Recovery, NeedsNoRoomThatAFullDiskLacks) {
  const testing_support::FullDisk disk(12 << 20);
  StoreFixture store;
  int refused = 0;
  for (int i = 0; refused < 3; ++i) {
    const auto put = store->Put({.key = "k" + std::to_string(i), .value = std::string(200, 'v')});
    if (put.ok()) continue;
    ++refused;
    ASSERT_EQ(base::Message(put.status()), "etcdserver: mvcc: database space exceeded") << i;
    EXPECT_EQ(base::Message(store->room()),
              "the disk is full under " + store.path() + "/records.mdb");
    testing_support::TempDir copy;
    CopyAsKilled(store.path(), copy.path());
    base::FakeClock clock;
    obs::Metrics metrics;
    const auto again = Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics);
    ASSERT_TRUE(again.ok()) << i << " " << again.status();
    ASSERT_EQ((*again)->Hash(0)->hash, store->Hash(0)->hash);
  }
  EXPECT_TRUE(store->failure().ok());
}

TEST(Recovery, KeepsALogWhoseFileIsMissing) {
  StoreFixture store;
  store.Put("k", "v");
  testing_support::TempDir copy;
  CopyAsKilled(store.path(), copy.path());
  const std::string file = copy.path() + "/records.mdb", aside = file + ".aside";
  std::filesystem::rename(file, aside);
  base::FakeClock clock;
  obs::Metrics metrics;
  EXPECT_FALSE(Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics).ok());
  std::filesystem::rename(aside, file);
  const auto again = Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Hash(0)->hash, store->Hash(0)->hash);

  // Nothing has to be done again of it, and yet it tells that there were records.
  store.Close();
  std::filesystem::remove(store.path() + "/records.mdb");
  EXPECT_TRUE(
      absl::IsDataLoss(Store::Open(store.path(), {}, clock, obs::NullLogger(), metrics).status()));
}

TEST(Recovery, SaysWhichRecordOfItsLogIsDamaged) {
  StoreFixture store;
  for (int i = 0; i < 10; ++i) store.Put("k" + std::to_string(i), "value to look for");
  testing_support::TempDir copy;
  CopyAsKilled(store.path(), copy.path());
  const std::string path = copy.path() + "/records.mdb-wal";
  std::string bytes(1 << 20, '\0');
  const int file = open(path.c_str(), O_RDWR);
  bytes.resize(static_cast<size_t>(pread(file, bytes.data(), bytes.size(), 0)));
  const size_t at = bytes.find("value to look for");
  ASSERT_NE(at, std::string::npos);
  ASSERT_EQ(pwrite(file, "V", 1, static_cast<off_t>(at)), 1);
  close(file);
  base::FakeClock clock;
  obs::Metrics metrics;
  const auto again = Store::Open(copy.path(), {}, clock, obs::NullLogger(), metrics);
  EXPECT_TRUE(absl::IsDataLoss(again.status())) << again.status();
  EXPECT_THAT(base::Message(again.status()),
              testing::HasSubstr(path + " is damaged: the record at"));
}

}  // namespace
}  // namespace strata::engine
