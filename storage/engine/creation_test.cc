// The directory of a store before it is one: what is in it, and a first start that is cut off.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "storage/engine/data_dir.h"
#include "storage/engine/import.h"
#include "storage/engine/layout.h"
#include "storage/engine/store_fixture_test.h"
#include "storage/engine/tree/wal.h"
#include "test/support/full_disk.h"

namespace strata::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

std::string OpenSays(const std::string& path, const Options& options = {}) {
  const base::SystemClock clock;
  obs::Metrics metrics;
  return std::string(
      base::Message(Store::Open(path, options, clock, obs::NullLogger(), metrics).status()));
}

std::vector<std::string> Entries(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename());
  return names;
}

TEST(Creation, IsLeftAloneByWhoOnlyReads) {
  testing_support::TempDir dir;
  EXPECT_EQ(OpenSays(dir.path(), {.look_only = true}),
            dir.path() + " holds no store: there is no " + dir.path() + "/records.mdb");
  EXPECT_THAT(Entries(dir.path()), IsEmpty());
  const std::string none = dir.path() + "/none";
  EXPECT_THAT(OpenSays(none, {.look_only = true}), HasSubstr(none + " holds no store"));
  EXPECT_FALSE(fs::exists(none));
  EXPECT_EQ(OpenSays(none), "");
  EXPECT_EQ(OpenSays(none, {.look_only = true}), "") << "now there is one";
}

TEST(Creation, HappensInNobodyElsesDirectory) {
  for (const char* entry : {"member", "snap", "state.db", "PG_VERSION", "data.mdb", "restoring"}) {
    testing_support::TempDir dir;
    fs::create_directory(dir.path() + "/" + entry);
    EXPECT_THAT(OpenSays(dir.path()), HasSubstr(fmt::format("({} is in it)", entry)));
    EXPECT_THAT(OpenSays(dir.path(), {.look_only = true}), HasSubstr("is in it"));
    EXPECT_EQ(Entries(dir.path()).size(), 1u) << entry;
  }
  testing_support::TempDir parent;
  EXPECT_EQ(OpenSays(parent.path() + "/store"), "");
  EXPECT_EQ(OpenSays(parent.path()),
            parent.path() + " holds no store, but " + parent.path() + "/store does: give that");
}

// Whose it is can't be noted there.
TEST(Creation, IsNotNeededToHoldADirectoryOnAFullDisk) {
  testing_support::TempDir dir;
  std::ofstream(dir.path() + "/lock") << "1234567890\n";
  const testing_support::FullDisk disk(0);
  const auto held = DataDir::Hold(dir.path());
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_THAT(std::string(base::Message(DataDir::Hold(dir.path()).status())),
              HasSubstr("is in use by another process"));
}

// Whatever of the file a first start had written when it was cut off.
TEST(Creation, ThatWasCutOffIsBegunAgain) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{4096}, size_t{8192}, size_t{30'000}}) {
    testing_support::TempDir dir;
    std::ofstream(dir.path() + "/records.mdb.new") << std::string(bytes, 'x');
    std::ofstream(dir.path() + "/records.mdb-wal.new") << std::string(bytes, 'x');
    ASSERT_EQ(OpenSays(dir.path()), "") << bytes;
    EXPECT_FALSE(fs::exists(dir.path() + "/records.mdb.new"));
    EXPECT_FALSE(fs::exists(dir.path() + "/records.mdb-wal.new"));
  }
}

// That would be an empty store, which answers as if all had been deleted.
TEST(Creation, DoesNotReplaceAFileThatWentAway) {
  StoreFixture store;
  store.Put("key", "value");
  store.Close();
  const std::string file = store.path() + "/records.mdb", aside = store.path() + "/aside";
  fs::rename(file, aside);
  EXPECT_THAT(OpenSays(store.path()),
              HasSubstr("the file is gone, and its write-ahead log is there"));
  EXPECT_FALSE(fs::exists(file));
  std::ofstream(file).flush();
  EXPECT_THAT(OpenSays(store.path()), HasSubstr("the store is damaged: it is empty"));
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_THAT(OpenSays(store.path()), HasSubstr("it is no regular file"));
  fs::remove(file);
  fs::rename(aside, file);
  EXPECT_EQ(OpenSays(store.path()), "");
}

// A first start that was cut off between the two files.
TEST(Creation, GoesOnBehindALogThatNothingWasWrittenTo) {
  testing_support::TempDir dir;
  ASSERT_TRUE(tree::Wal::Open(dir.path() + "/records.mdb-wal").ok());
  EXPECT_EQ(OpenSays(dir.path()), "");
}

TEST(Creation, OfAnothersHistoryThatWasCutOffIsNoStore) {
  testing_support::TempDir dir;
  {
    auto import = Import::Create(dir.path());
    ASSERT_TRUE(import.ok()) << import.status();
    for (int i = 2; i < 40; ++i)
      ASSERT_TRUE((*import)
                      ->Add({.key = "k",
                             .value = std::string(4 << 20, 'v'),
                             .create_revision = 2,
                             .mod_revision = i,
                             .version = i - 1})
                      .ok());
  }
  EXPECT_THAT(OpenSays(dir.path()), HasSubstr("the store was never finished"));
}

// The deletions that came last are gone from it, and somebody saw their revisions.
TEST(Creation, OfAHistoryWhoseEndWasCompactedGoesOnBehindIt) {
  testing_support::TempDir dir;
  {
    auto import = Import::Create(dir.path());
    ASSERT_TRUE(import.ok()) << import.status();
    ASSERT_TRUE(
        (*import)
            ->Add({.key = "k", .value = "v", .create_revision = 2, .mod_revision = 2, .version = 1})
            .ok());
    EXPECT_EQ((*import)->Finish(/*compacted=*/9).value_or(0), 9);
  }
  const base::SystemClock clock;
  obs::Metrics metrics;
  for (const Revision newest : {9, 10}) {
    const auto store = *Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
    EXPECT_EQ(store->revision(), newest);
    EXPECT_EQ(store->compacted(), 9);
    const auto all = store->Range({.key = "a", .range_end = "z", .revision = newest});
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->revision, newest);
    EXPECT_TRUE(store->Verify().ok());
    EXPECT_EQ(store->Put({.key = "k", .value = "v"})->revision, newest + 1);
  }
}

// An etcd's snapshot may be taken in the midst of one.
TEST(Creation, OfAHistoryWhoseCompactionWasntDoneDoesIt) {
  testing_support::TempDir dir;
  {
    auto import = *Import::Create(dir.path());
    const std::vector<KeyValue> changes = {
        {.key = "k", .value = "1", .create_revision = 2, .mod_revision = 2, .version = 1},
        {.key = "k", .value = "2", .create_revision = 2, .mod_revision = 3, .version = 2},
        {.key = "k", .mod_revision = 4},
        {.key = "live", .value = "1", .create_revision = 5, .mod_revision = 5, .version = 1},
        {.key = "last", .value = "1", .create_revision = 6, .mod_revision = 6, .version = 1},
    };
    for (const KeyValue& change : changes) ASSERT_TRUE(import->Add(change).ok());
    ASSERT_TRUE(import->Finish(/*compacted=*/5).ok());
  }
  const base::SystemClock clock;
  obs::Metrics metrics;
  const auto store = *Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
  EXPECT_EQ(store->compacted(), 5);
  ASSERT_TRUE(store->Compact({.revision = 6, .physical = true}).ok());
  EXPECT_EQ(store->Verify()->changes, 2) << "those of the keys that live";
}

TEST(Creation, OfAHistoryThatIsAtItsLastRevisionTakesNoWrites) {
  testing_support::TempDir dir;
  const base::SystemClock clock;
  obs::Metrics metrics;
  {
    auto import = *Import::Create(dir.path());
    ASSERT_TRUE(import
                    ->Add({.key = "k",
                           .value = "v",
                           .create_revision = 2,
                           .mod_revision = kMostCount - 1,
                           .version = 1})
                    .ok());
    ASSERT_TRUE(import->Finish(/*compacted=*/0).ok());
  }
  {
    const auto store = *Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
    EXPECT_EQ(store->Put({.key = "k", .value = "v"})->revision, kMostCount);
    for (const base::Status& refused :
         {store->Put({.key = "k", .value = "v"}).status(), store->Delete({.key = "k"}).status(),
          store->Txn({.success = {{PutRequest{.key = "k", .value = "v"}}}}).status()})
      EXPECT_THAT(base::Message(refused), HasSubstr("counts no further"));
    EXPECT_FALSE(store->has_alarm(Alarm::kCorrupt));
  }
  const auto again = *Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
  EXPECT_EQ(again->revision(), kMostCount);
  EXPECT_EQ(again->Range({.key = "k"})->kvs.size(), 1u);
}

}  // namespace
}  // namespace strata::engine
