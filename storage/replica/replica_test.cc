// What is the replica's own: lists that take each other's place, what it has forgotten or can't
// hold, and a disk that is full.
#include "storage/replica/replica.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "storage/replica/history_fixture_test.h"
#include "test/support/full_disk.h"
#include "test/support/temp_dir.h"

namespace strata::replica {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing_support::FullDisk;
using testing_support::TempDir;

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

class ReplicaTest : public testing::Test {
 protected:
  Revision Put(const std::string& name, const std::string& object) {
    return kept_.Put(Image(name), object);
  }
  // The replica isn't told.
  Revision PutUnseen(const std::string& name, const std::string& object) {
    return kept_.etcd().Put(KeyOf(Image(name)), records::Encode(records::Kind::kImage, object));
  }
  std::string Read(Revision revision) { return ReadText(kept_.history(), {.revision = revision}); }
  std::string Changes(Revision from, Revision to) { return ChangesText(kept_.history(), from, to); }

  OnReplica kept_;
};

TEST_F(ReplicaTest, HistoryBeginsWithTheListThatTookThePlaceOfAnother) {
  Put("a", "1");
  const Revision before = Put("b", "2");
  const Revision listed = PutUnseen("a", "3");
  const uint64_t epoch = kept_.history().epoch();
  kept_.List();
  EXPECT_NE(kept_.history().epoch(), epoch);
  EXPECT_EQ(kept_.history().oldest(), listed);
  EXPECT_EQ(Read(listed), "a=3@4 b=2@3");
  EXPECT_EQ(Changes(before, listed), "OUT_OF_RANGE");
  const Revision last = Put("b", "4");
  EXPECT_EQ(Changes(listed + 1, last), "b=4@5(b=2@3) then 6");
}

TEST_F(ReplicaTest, RequestsThatBeganBeforeAListAreAnsweredFromWhatTheyBeganWith) {
  Put("a", "1");
  const Revision before = Put("b", "2");
  kept_.etcd().Compact(PutUnseen("a", "3"));
  kept_.List();
  EXPECT_EQ(Read(before), "a=1@2 b=2@3");
  kept_.clock().Advance(seconds(61));
  kept_.Progress();
  EXPECT_EQ(Read(before), "OUT_OF_RANGE") << "for a minute";
}

TEST_F(ReplicaTest, OfABackendThatWasPutBackNothingIsToldOfTheHistoryThatItLeft) {
  const Revision back = Put("a", "1");
  const Revision other = Put("b", "2");
  Put("c", "3");
  Put("d", "4");
  const std::string encoded = records::Encode(records::Kind::kImage, "other");
  kept_.etcd().Diverge(back, {{{KeyOf(Image("b")), encoded}}, {{KeyOf(Image("c")), encoded}}});
  kept_.List();
  EXPECT_EQ(Read(other), "a=1@2 b=other@3");
}

TEST_F(ReplicaTest, AListThatShowsNothingNewLeavesHistoryAsItWas) {
  const Revision first = Put("a", "1");
  Put("a", "2");
  const Revision moved = kept_.etcd().Put("/elsewhere", "x");
  const uint64_t epoch = kept_.history().epoch();
  kept_.List();
  EXPECT_EQ(kept_.history().epoch(), epoch);
  EXPECT_EQ(kept_.history().oldest(), 1);
  EXPECT_EQ(Changes(first, moved), "a=1@2() a=2@3(a=1@2) then 5");
  EXPECT_EQ(Read(moved), "a=2@3");
  EXPECT_EQ(kept_.counted("strata_replica_lists_unchanged_total"), 1);
  EXPECT_EQ(kept_.counted("strata_replica_lists_total"), 2) << "with the first";
  EXPECT_EQ(kept_.metric("strata_replica_newest_revision"), moved);
}

TEST_F(ReplicaTest, ABackendThatWasPutBackBeginsAnotherHistory) {
  Put("a", "1");
  const Revision back = Put("b", "2");
  const struct {
    const char* what;
    std::vector<testing_support::FakeEtcd::Changes> instead;
    const char* read;
  } kCases[] = {
      {"another value at the same revision",
       {{{KeyOf(Image("c")), records::Encode(records::Kind::kImage, "other")}}},
       "a=1@2 b=2@3 c=other@4"},
      {"another key",
       {{{KeyOf(Image("d")), records::Encode(records::Kind::kImage, "3")}}},
       "a=1@2 b=2@3 d=3@4"},
      {"a lower revision", {}, "a=1@2 b=2@3"},
  };
  for (const auto& c : kCases) {
    kept_.etcd().Restore(back, testing_support::FakeEtcd::Trace::kNone);
    kept_.List();
    Put("c", "3");
    kept_.etcd().Diverge(back, c.instead);
    const uint64_t epoch = kept_.history().epoch();
    kept_.List();
    EXPECT_NE(kept_.history().epoch(), epoch) << c.what;
    const Revision now = kept_.etcd().revision();
    EXPECT_EQ(kept_.history().oldest(), now) << c.what;
    EXPECT_EQ(Read(now), c.read) << c.what;
  }
}

TEST_F(ReplicaTest, WhatIsServedStaysWholeWhileAListIsGathered) {
  const Revision before = Put("a", "1");
  PutUnseen("a", "2");
  kept_.replica().BeginList();
  kept_.ListPages();
  EXPECT_EQ(Read(before), "a=1@2");
  kept_.replica().AbortList();
  EXPECT_EQ(Read(before), "a=1@2");
  EXPECT_EQ(Changes(before, before), "a=1@2() then 3");
  kept_.List();
  EXPECT_EQ(Read(kept_.etcd().revision()), "a=2@3");
}

TEST_F(ReplicaTest, WhatItHasForgottenIsReadFromTheBackendInPages) {
  Put("a", "1");
  Put("b", "2");
  const Revision old = kept_.Commit({{kKeys.begin() + "c/no-record", "x"}});
  for (const char* name : {"a", "b"}) Put(name, "new");
  kept_.clock().Advance(seconds(100));
  for (int step = 0; step < 4; ++step) kept_.Progress();
  ASSERT_GT(kept_.history().oldest(), old);
  const int asked = kept_.etcd().reads();
  EXPECT_EQ(Read(old), "a=1@2 b=2@3");
  EXPECT_EQ(ReadText(kept_.history(), {.revision = old, .limit = 1, .count = true}),
            "a=1@2 + of 3");
  EXPECT_EQ(ReadText(kept_.history(), {.revision = old, .max_bytes = 1}), "a=1@2 +");
  EXPECT_EQ(FindText(kept_.history(), Image("b"), old), "b=2@3");
  EXPECT_EQ(kept_.etcd().reads(), asked + 4);
  EXPECT_EQ(kept_.counted("strata_replica_backend_reads_total"), 4);
  EXPECT_EQ(Read(kept_.history().oldest()), "a=new@5 b=new@6");
  EXPECT_EQ(kept_.etcd().reads(), asked + 4) << "what it has costs the backend nothing";
  kept_.etcd().Behave([](auto& behaviour) { behaviour.most_values_per_answer = 1; });
  EXPECT_EQ(Read(old), "a=1@2 b=2@3") << "an answer that is too large is asked for in parts";
}

TEST_F(ReplicaTest, HistoryIsBoundedInBytes) {
  OnReplica kept({.history_bytes = 10'000});
  for (int i = 0; i < 100; ++i) kept.Put(Image("a"), std::string(1000, 'x'));
  const Revision last = kept.etcd().revision();
  EXPECT_GE(kept.history().oldest(), last - 10);
  EXPECT_LE(kept.history().oldest(), last - 8);
  EXPECT_LE(kept.metric("strata_replica_history_bytes"), 10'000);
  EXPECT_EQ(kept.metric("strata_replica_oldest_revision"), kept.history().oldest());
  EXPECT_EQ(kept.metric("strata_replica_newest_revision"), last);
  EXPECT_EQ(kept.metric("strata_replica_records"), 1);
}

TEST_F(ReplicaTest, RecordsWhoseKeysAreTooLongAreReadFromTheBackend) {
  const std::string name(600, 'n');
  const Revision without = Put("a", "1");
  EXPECT_EQ(FindText(kept_.history(), Image(name), without), "");
  EXPECT_EQ(kept_.counted("strata_replica_backend_reads_total"), 0) << "there is none";
  const Revision last = Put(name, "2");
  EXPECT_EQ(Read(last), "a=1@2 " + name + "=2@3");
  EXPECT_EQ(FindText(kept_.history(), Image(name), last), name + "=2@3");
  EXPECT_EQ(kept_.counted("strata_replica_backend_reads_total"), 2);
  EXPECT_EQ(FindText(kept_.history(), Image("a"), last), "a=1@2");
  EXPECT_EQ(kept_.counted("strata_replica_backend_reads_total"), 2);
}

TEST_F(ReplicaTest, AFullDiskCostsListsAndWatchesUntilThereIsRoom) {
  Put("a", "1");
  Revision last = 0;
  {
    FullDisk full(200'000);
    last = Put("b", std::string(1 << 20, 'b'));
  }
  EXPECT_EQ(Read(last), "UNAVAILABLE");
  EXPECT_EQ(Changes(last, last), "UNAVAILABLE");
  EXPECT_EQ(FindText(kept_.history(), Image("a"), last), "a=1@2") << "from the backend";
  EXPECT_EQ(kept_.metric("strata_replica_ready"), 0);
  EXPECT_EQ(kept_.counted("strata_replica_errors_total"), 1);
  EXPECT_EQ(kept_.metric("strata_replica_file_bytes"), 0);
  EXPECT_EQ(kept_.metric("strata_replica_used_bytes"), 0);
  last = Put("c", "3");
  EXPECT_FALSE(kept_.replica().needs_list()) << "not at once";
  kept_.clock().Advance(seconds(60));
  ASSERT_TRUE(kept_.replica().needs_list());
  {
    FullDisk full(200'000);
    kept_.List();
  }
  EXPECT_EQ(Read(last), "UNAVAILABLE");
  EXPECT_EQ(kept_.counted("strata_replica_errors_total"), 2);
  kept_.clock().Advance(seconds(59));
  EXPECT_FALSE(kept_.replica().needs_list()) << "later than the first time";
  kept_.clock().Advance(seconds(61));
  EXPECT_TRUE(kept_.replica().needs_list());
  kept_.List();
  EXPECT_FALSE(kept_.replica().needs_list());
  EXPECT_EQ(kept_.metric("strata_replica_ready"), 1);
  EXPECT_GT(kept_.metric("strata_replica_used_bytes"), 1 << 20);
  EXPECT_LE(kept_.metric("strata_replica_used_bytes"), kept_.metric("strata_replica_file_bytes"));
  EXPECT_EQ(FindText(kept_.history(), Image("c"), last), "c=3@4");
  last = Put("a", "4");
  EXPECT_EQ(Changes(last, last), "a=4@5(a=1@2) then 6");
}

TEST_F(ReplicaTest, WhereThereIsRoomForOneListAloneItIsListedTwice) {
  Put("a", "1");
  const Revision last = PutUnseen("b", std::string(1 << 20, 'b'));
  {
    FullDisk full(200'000);
    kept_.List();
  }
  EXPECT_TRUE(kept_.replica().needs_list()) << "at once, the old one being gone";
  {
    FullDisk full(200'000);
    kept_.List();
  }
  EXPECT_FALSE(kept_.replica().needs_list());
  kept_.clock().Advance(seconds(120));
  EXPECT_TRUE(kept_.replica().needs_list());
  kept_.List();
  EXPECT_EQ(FindText(kept_.history(), Image("a"), last), "a=1@2");
}

TEST_F(ReplicaTest, ADamagedFileIsGivenUpOnceAReaderHasMetTheDamage) {
  TempDir dir;
  OnReplica kept({.cache_dir = dir.path()});
  const Revision last = kept.Put(Image("a"), std::string(100'000, 'x'));
  const std::string path = dir.path() + "/replica-1.mdb";
  fs::resize_file(path, fs::file_size(path) - 20'000);
  EXPECT_EQ(ReadText(kept.history(), {.revision = last}), "DATA_LOSS");
  kept.Progress();
  EXPECT_EQ(ReadText(kept.history(), {.revision = last}), "UNAVAILABLE");
  EXPECT_EQ(FindText(kept.history(), Image("a"), last).size(), 100'004u) << "from the backend";
  kept.clock().Advance(seconds(60));
  EXPECT_TRUE(kept.replica().needs_list());
  kept.List();
  EXPECT_EQ(ReadText(kept.history(), {.revision = last}).size(), 100'004u);
}

TEST_F(ReplicaTest, AnUnusableDirectoryForANewFileIsAFullDiskToo) {
  TempDir dir;
  const std::string path = dir.path() + "/cache";
  OnReplica kept({.cache_dir = path});
  const Revision last = kept.Put(Image("a"), "1");
  fs::remove_all(path);
  kept.etcd().Put(KeyOf(Image("b")), "x");
  kept.List();
  EXPECT_EQ(ReadText(kept.history(), {.revision = last}), "UNAVAILABLE");
  EXPECT_EQ(FindText(kept.history(), Image("a"), last), "a=1@2");
}

TEST(ReplicaFiles, ADirectoryIsRidOfOldFilesOfOursAloneAndLeftEmpty) {
  TempDir dir;
  for (const char* name : {"replica-7.mdb", "replica-7.mdb-lock", "else"})
    std::ofstream(dir.path() + "/" + name) << "x";
  fs::create_directory(dir.path() + "/replica-directory");
  {
    OnReplica kept({.cache_dir = dir.path()});
    EXPECT_EQ(Names(dir.path()),
              (std::vector<std::string>{"else", "lock", "replica-1.mdb", "replica-1.mdb-lock",
                                        "replica-directory"}));
    kept.etcd().Put(KeyOf(Image("a")), "x");
    kept.List();
    kept.clock().Advance(seconds(61));
    kept.Progress();
    EXPECT_EQ(Names(dir.path()),
              (std::vector<std::string>{"else", "lock", "replica-2.mdb", "replica-2.mdb-lock",
                                        "replica-directory"}));
  }
  EXPECT_EQ(Names(dir.path()), (std::vector<std::string>{"else", "lock", "replica-directory"}));
}

TEST(ReplicaFiles, ADirectoryIsOneServers) {
  TempDir dir;
  OnReplica kept({.cache_dir = dir.path()});
  const auto second = CacheDir::Open(dir.path());
  EXPECT_EQ(base::Message(second.status()),
            dir.path() + " is in use by process " + std::to_string(getpid()));
}

TEST(ReplicaFiles, WithoutADirectoryNothingIsLeft) {
  TempDir dir;
  setenv("TMPDIR", dir.path().c_str(), 1);
  {
    OnReplica kept;
    ASSERT_EQ(Names(dir.path()).size(), 1u);
    const std::string own = dir.path() + "/" + Names(dir.path())[0];
    EXPECT_EQ(fs::status(own).permissions(), fs::perms::owner_all);
    EXPECT_TRUE(fs::is_empty(own)) << "nor after a crash";
    const Revision last = kept.Put(Image("a"), "1");
    EXPECT_EQ(ReadText(kept.history(), {.revision = last}), "a=1@2");
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
  setenv("TMPDIR", (dir.path() + "/absent").c_str(), 1);
  const auto none = CacheDir::Open("");
  EXPECT_EQ(base::Message(none.status()),
            "no directory can be made in " + dir.path() +
                "/absent (No such file or directory): name one that can be written");
  unsetenv("TMPDIR");
}

}  // namespace
}  // namespace strata::replica
