// What is made of a damaged store: whatever isn't named as lost is there.
#include "storage/engine/recover.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "storage/engine/data_dir.h"
#include "storage/engine/store_fixture_test.h"
#include "storage/engine/tree/file_bytes_test.h"
#include "storage/engine/tree/wal.h"
#include "test/support/every_bit.h"

namespace strata::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSubsetOf;
using testing_support::FlipBit;
using testing_support::ReadFile;
using testing_support::WriteAt;

constexpr const char* kFile = "/records.mdb";
constexpr const char* kLog = "/records.mdb-wal";

// Wherever `text` stands in the file, a bit of it is flipped.
void Damage(const std::string& path, const std::string& text) {
  const std::string bytes = ReadFile(path);
  size_t found = 0;
  for (size_t at = 0; (at = bytes.find(text, at)) != std::string::npos; ++at, ++found)
    FlipBit(path, at * 8);
  EXPECT_GT(found, 0u) << text;
}

// All changes of a store, each a text; the newest of each key last.
std::vector<std::string> Changes(Store& store) {
  std::vector<std::string> changes;
  const auto done = store.Changes(store.compacted() + 1, SIZE_MAX, [&](const Change& change) {
    changes.push_back(fmt::format("{} {}={}", change.revision(), change.key(),
                                  change.deleted() ? "(deleted)" : change.kv().value));
    return size_t{1};
  });
  EXPECT_TRUE(done.ok()) << done.status();
  return changes;
}

// What a damaged store in `damaged` is made into.
class Made {
 public:
  explicit Made(const std::string& damaged, Revision bump = 0) {
    auto recovered = Recover(damaged, dir_.path(), bump, /*look_only=*/false,
                             [this](std::string_view line) { lines_.emplace_back(line); });
    EXPECT_TRUE(recovered.ok()) << recovered.status();
    if (!recovered.ok()) return;
    recovered_ = *recovered;
    auto opened = Store::Open(dir_.path(), {}, clock_, obs::NullLogger(), metrics_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    EXPECT_TRUE(store_->Verify().ok()) << store_->Verify().status();
  }

  Store* operator->() { return store_.get(); }
  Store& operator*() { return *store_; }
  const std::vector<std::string>& lines() const { return lines_; }
  const Recovered& recovered() const { return recovered_; }

 private:
  testing_support::TempDir dir_;
  base::FakeClock clock_;
  obs::Metrics metrics_;
  std::vector<std::string> lines_;
  Recovered recovered_;
  std::unique_ptr<Store> store_;
};

// As a killed process leaves it; or as the power leaves it that fails before any page of the data
// file was synced since `settled`.
class Killed {
 public:
  explicit Killed(const StoreFixture& store) {
    for (const char* name : {kFile, kLog})
      std::filesystem::copy_file(store.path() + name, dir_.path() + name);
  }
  Killed(const StoreFixture& store, const std::string& settled) : Killed(store) {
    std::filesystem::resize_file(dir_.path() + kFile, settled.size());
    WriteAt(dir_.path() + kFile, 0, settled);
  }
  const std::string& path() const { return dir_.path(); }
  std::string file() const { return dir_.path() + kFile; }
  std::string log() const { return dir_.path() + kLog; }

 private:
  testing_support::TempDir dir_;
};

TEST(Recover, OfASoundStoreGivesUpNothing) {
  StoreFixture store;
  for (int i = 0; i < 300; ++i)
    store.Put("k" + std::to_string(i % 70), std::string(i % 40 == 0 ? 9000 : 90, 'v'));
  store.Delete("k3");
  const auto lease = store->Grant({.ttl = 600});
  store.Put("leased", "1", lease->id);
  store.Compact(100);
  const auto hash = store->Hash(0)->hash;
  for (const bool orderly : {false, true}) {
    if (orderly) store.Close();
    const Killed killed(store);
    Made made(killed.path());
    EXPECT_THAT(made.lines(), IsEmpty());
    EXPECT_EQ(made->Hash(0)->hash, hash);
    EXPECT_EQ(made->compacted(), 100);
    AnswerBytes answer = made->NewAnswer();
    EXPECT_THAT(made->TimeToLive(lease->id, true, answer)->keys, ElementsAre("leased"));
  }
}

TEST(Recover, TakesFromTheFileWhatADamagedRecordOfTheLogHeld) {
  StoreFixture store;
  for (const char* key : {"a", "b", "c"}) store.Put(key, std::string("value of ") + key);
  const Killed killed(store);
  Damage(killed.log(), "value of b");
  Made made(killed.path());
  EXPECT_THAT(made.lines(), ElementsAre(HasSubstr("unreadable: a record of the write-ahead log")));
  EXPECT_EQ(Changes(*made), Changes(*store));
}

// The records before it are done again, over what the file has of it.
TEST(Recover, ForgetsNoCompactionThatADamagedRecordOfTheLogHeld) {
  StoreFixture store;
  for (int i = 0; i < 10; ++i) store.Put("k", std::to_string(i));
  store.Compact(4);
  store.Compact(9);
  const Killed killed(store);
  const std::string log = ReadFile(killed.log());
  // The compaction's own, before what was cleaned up then.
  const size_t at = log.rfind("compacted");
  ASSERT_NE(at, std::string::npos);
  WriteAt(killed.log(), at, "C");
  Made made(killed.path());
  EXPECT_THAT(made.lines(), ElementsAre(HasSubstr("unreadable: a record of the write-ahead log")));
  EXPECT_EQ(made->compacted(), 9);
  EXPECT_FALSE(made->Range({.key = "k", .revision = 6}).ok());
}

TEST(Recover, SaysWhichRevisionsADamagedLogHasLost) {
  StoreFixture store;
  store.Put("a", "old");
  store.Reopen();
  const std::string settled = ReadFile(store.path() + kFile);
  for (const char* key : {"a", "b", "c", "d"}) store.Put(key, std::string("value of ") + key);
  struct {
    std::string damaged;
    std::vector<std::string> lost, left;
  } const cases[] = {
      {"value of b",
       {"lost: revision 4, of which the keys aren't known"},
       {"2 a=old", "3 a=value of a", "5 c=value of c", "6 d=value of d"}},
      // The newest one is known by its seal alone.
      {"value of d", {}, {"2 a=old", "3 a=value of a", "4 b=value of b", "5 c=value of c"}},
  };
  for (const auto& one : cases) {
    const Killed killed(store, settled);
    Damage(killed.log(), one.damaged);
    Made made(killed.path(), /*bump=*/0);
    std::vector<std::string> lines = made.lines();
    ASSERT_FALSE(lines.empty()) << one.damaged;
    EXPECT_THAT(lines.front(), HasSubstr("unreadable: a record of the write-ahead log, at "));
    lines.erase(lines.begin());
    EXPECT_EQ(lines, one.lost);
    EXPECT_EQ(Changes(*made), one.left);
  }
}

TEST(Recover, SaysWhichChangesADamagedFileHasLost) {
  StoreFixture store;
  store.Put("good", "1");
  store.Put("changed", "the old value");
  store.Put("changed", "the new value");
  store.Put("gone", "a value to look for");
  store.Put("fine", "2");
  store.Close();
  const Killed killed(store);
  Damage(killed.file(), "the new value");
  Damage(killed.file(), "a value to look for");
  Made made(killed.path());
  EXPECT_THAT(made.lines(), testing::IsSupersetOf(
                                {"lost: revision 4 of changed", "  so changed is as at revision 3",
                                 "lost: revision 5 of gone", "  so gone is gone"}));
  EXPECT_EQ(made.recovered().lost, 2);
  EXPECT_THAT(Changes(*made), ElementsAre("2 good=1", "3 changed=the old value", "6 fine=2"));
  EXPECT_EQ(made->Put({.key = "next", .value = "1"})->revision, 7);
}

TEST(Recover, NeverUsesARevisionAgainThatWasLost) {
  StoreFixture store;
  store.Put("a", "1");
  store.Put("b", "the newest value");
  store.Close();
  const Killed killed(store);
  Damage(killed.file(), "the newest value");
  Made made(killed.path());
  EXPECT_EQ(made->revision(), 3);
  EXPECT_EQ(made->Put({.key = "b", .value = "2"})->revision, 4);
  EXPECT_EQ(Made(killed.path(), 1000).recovered().revision, 1003);
}

TEST(Recover, OnlyLooks) {
  StoreFixture store;
  store.Put("a", "a value to look for");
  store.Close();
  const Killed killed(store);
  Damage(killed.file(), "a value to look for");
  const std::string before = ReadFile(killed.file());
  testing_support::TempDir into;
  std::vector<std::string> lines;
  const auto looked = Recover(killed.path(), into.path(), 0, /*look_only=*/true,
                              [&](std::string_view line) { lines.emplace_back(line); });
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_EQ(looked->lost, 1);
  EXPECT_THAT(lines, testing::Contains("lost: revision 2 of a"));
  EXPECT_FALSE(std::filesystem::exists(into.path() + kFile));
  EXPECT_EQ(ReadFile(killed.file()), before);
}

TEST(Recover, RefusesWhatIsNoStoreOrInUse) {
  StoreFixture store;
  testing_support::TempDir empty, into;
  const auto tell = [](std::string_view) {};
  EXPECT_FALSE(Recover(empty.path(), into.path(), 0, false, tell).ok());
  EXPECT_THAT(base::Message(Recover(store.path(), into.path(), 0, false, tell).status()),
              HasSubstr("is in use by"));
}

// Of a file system that the system has made read-only, the lock can be read alone: as a folder can.
TEST(Recover, ReadsADirectoryThatNothingCanBeWrittenTo) {
  StoreFixture store;
  store.Put("a", "1");
  store.Close();
  const Killed killed(store);
  std::filesystem::create_directory(killed.path() + "/lock");
  {
    Made made(killed.path());
    EXPECT_EQ(made->revision(), 2);
  }
  const auto held = DataDir::Hold(killed.path());
  ASSERT_TRUE(held.ok()) << held.status();
  testing_support::TempDir into;
  EXPECT_THAT(base::Message(
                  Recover(killed.path(), into.path(), 0, false, [](std::string_view) {}).status()),
              HasSubstr("is in use by"));
}

// Each page is damaged, as a whole or by a bit: what is left is a part of what was there, nothing
// that was deleted comes back, and where something is missing it was said.
TEST(Recover, HidesNoLossWhicheverPageIsDamaged) {
  StoreFixture store;
  for (int i = 0; i < 250; ++i) store.Put("key-" + std::to_string(i % 60), std::string(150, 'v'));
  store.Put("large", std::string(9000, 'l'));
  for (int i = 0; i < 20; ++i) store.Delete("key-" + std::to_string(i));
  store.Compact(store->revision() - 100);
  for (int i = 0; i < 10; ++i) store.Put("more-" + std::to_string(i), "v");
  const std::vector<std::string> all = Changes(*store);
  store.Close();
  const Killed killed(store);
  const std::string whole = ReadFile(killed.file());
  constexpr size_t kPage = 4096;
  const size_t step = testing_support::EveryBit() ? 1 : 16;
  const size_t pages_apart = testing_support::EveryBit() ? 1 : 5;
  int untouched = 0, lossy = 0, refused = 0;
  for (size_t page = 0; page < whole.size() / kPage; page += pages_apart) {
    // The whole page, or one of its first bytes, where LMDB's numbers are.
    for (size_t at = page * 5 % step; at < 16; at += step) {
      if (at == 0) WriteAt(killed.file(), page * kPage, std::string(kPage, '\0'));
      if (at > 0) FlipBit(killed.file(), (page * kPage + at) * 8 + at % 8);
      testing_support::TempDir into;
      std::vector<std::string> lines;
      const auto recovered = Recover(killed.path(), into.path(), 0, /*look_only=*/false,
                                     [&](std::string_view line) { lines.emplace_back(line); });
      WriteAt(killed.file(), page * kPage, std::string_view(whole).substr(page * kPage, kPage));
      if (!recovered.ok()) {
        ++refused;
        EXPECT_LT(page, 2u) << recovered.status();
        continue;
      }
      base::FakeClock clock;
      obs::Metrics metrics;
      const auto made = Store::Open(into.path(), {}, clock, obs::NullLogger(), metrics);
      ASSERT_TRUE(made.ok()) << made.status();
      const std::vector<std::string> left = Changes(**made);
      EXPECT_THAT(left, IsSubsetOf(all)) << page << " " << at;
      if (left.size() < all.size()) {
        ++lossy;
        EXPECT_GT(recovered->unreadable, 0) << page << " " << at;
        EXPECT_FALSE(lines.empty()) << page << " " << at;
      } else {
        ++untouched;
      }
    }
  }
  EXPECT_GT(untouched, 0);
  EXPECT_GT(lossy, 0);
  std::printf("%d lost nothing, %d something, %d all\n", untouched, lossy, refused);
}

}  // namespace
}  // namespace strata::engine
