// Flipped bits: whatever is damaged, no read answers wrongly without an error.
#include <absl/synchronization/notification.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/engine/scrub.h"
#include "storage/engine/store_fixture_test.h"
#include "storage/engine/tree/file_bytes_test.h"
#include "storage/engine/tree/wal.h"
#include "test/support/every_bit.h"

namespace strata::engine {
namespace {

using testing_support::FlipBit;
using testing_support::ReadFile;

constexpr const char* kFile = "/records.mdb";
constexpr const char* kLog = "/records.mdb-wal";

// Most of the file would be free pages otherwise.
void Defragment(StoreFixture& store) {
  absl::Notification defragmented;
  store->Submit(DefragmentRequest{},
                [&](const base::StatusOr<DefragmentResult>&) { defragmented.Notify(); });
  defragmented.WaitForNotification();
}

// Whether the alarm was on.
bool EndAlarm(StoreFixture& store) {
  absl::Notification ended;
  bool changed = false;
  store->Submit(AlarmRequest{.alarm = Alarm::kCorrupt, .raise = false},
                [&](const base::StatusOr<AlarmResult>& result) {
                  changed = result.ok() && result->changed;
                  ended.Notify();
                });
  ended.WaitForNotification();
  return changed;
}

// A store of some versions of some keys, closed.
void Make(StoreFixture& store) {
  for (int i = 0; i < 60; ++i)
    store.Put("key-" + std::to_string(i % 20), std::string(200, static_cast<char>('a' + i % 26)));
  const auto lease = store->Grant({.ttl = 600});
  store.Put("leased", "value", lease->id);
  store.Delete("key-3");
  Defragment(store);
  store.Close();
}

// What one call answers; nothing if that is an error.
using Answer = std::optional<std::string>;

Answer Ranged(const Store& store, const RangeRequest& request) {
  const auto range = store.Range(request);
  if (!range.ok()) return std::nullopt;
  std::string seen = fmt::format("at {}\n", range->revision);
  for (const KeyValue& kv : range->kvs)
    seen += fmt::format("{} {} {} {} {} {}\n", kv.key, kv.value, kv.mod_revision,
                        kv.create_revision, kv.version, kv.lease);
  return seen;
}

Answer Changed(const Store& store) {
  std::string seen;
  const auto changes =
      store.Changes(store.compacted() + 1, SIZE_MAX, [&](const Change& change) -> size_t {
        seen += fmt::format("{} {}\n", change.revision(), change.key());
        return 1;
      });
  return changes.ok() ? Answer(seen) : std::nullopt;
}

Answer Leased(const Store& store) {
  AnswerBytes answer = store.NewAnswer();
  const auto leases = store.ListLeases(answer);
  if (!leases.ok()) return std::nullopt;
  std::string seen;
  for (const int64_t id : leases->ids) {
    const auto lease = store.TimeToLive(id, /*with_keys=*/true, answer);
    if (!lease.ok()) return std::nullopt;
    seen += fmt::format("{} {} {}\n", id, lease->granted_ttl, fmt::join(lease->keys, " "));
  }
  return seen;
}

// What a reader of the store is told, call by call: the newest state, an old one, each key by
// itself, the history, leases. Nothing at all if the store doesn't open.
std::vector<Answer> See(const std::string& path) {
  const base::SystemClock clock;
  obs::Metrics metrics;
  const auto opened = Store::Open(path, {}, clock, obs::NullLogger(), metrics);
  if (!opened.ok()) return {};
  const Store& store = **opened;
  std::vector<Answer> seen{
      fmt::format("{:x} {} {}", store.cluster_id(), store.revision(), store.compacted())};
  for (const Revision revision : {Revision{0}, Revision{6}})
    seen.push_back(Ranged(
        store,
        {.key = std::string("\0", 1), .range_end = std::string("\0", 1), .revision = revision}));
  for (int i = 0; i < 10; ++i) seen.push_back(Ranged(store, {.key = fmt::format("key-{}", i)}));
  seen.push_back(Changed(store));
  seen.push_back(Leased(store));
  seen.push_back(store.Verify().ok() ? Answer("") : std::nullopt);
  return seen;
}

bool AnyError(const std::vector<Answer>& answers) {
  return answers.empty() ||
         std::find(answers.begin(), answers.end(), std::nullopt) != answers.end();
}

// An answer is right or an error, whatever others say.
bool AnyWrong(const std::vector<Answer>& answers, const std::vector<Answer>& sound) {
  for (size_t i = 0; i < answers.size(); ++i)
    if (answers[i] && answers[i] != sound[i]) return true;
  return false;
}

TEST(Damage, OfARecordIsNamedAndTheOthersAreRead) {
  StoreFixture store;
  store.Put("good", "1");
  store.Put("bad", "a value to look for");
  store.Put("fine", "2");
  store.Close();
  const std::string file = ReadFile(store.path() + kFile);
  // Every page that it was written to: older ones are free, the newest is read.
  for (size_t at = 0; (at = file.find("a value to look for", at)) != std::string::npos; ++at)
    FlipBit(store.path() + kFile, at * 8);
  store.Open();
  EXPECT_EQ(store.Read({.key = "good"}), "good=1");
  EXPECT_EQ(store.Read({.key = "fine"}), "fine=2");
  EXPECT_FALSE(store->has_alarm(Alarm::kCorrupt));
  EXPECT_THAT(store.Read({.key = "bad"}),
              testing::HasSubstr("the store is damaged: the checksum of history"));
  EXPECT_TRUE(store->has_alarm(Alarm::kCorrupt)) << "who reads it finds it";
  EXPECT_THAT(store.Metrics(), testing::HasSubstr("\nstrata_store_alarm{alarm=\"CORRUPT\"} 1\n"));
  EXPECT_TRUE(EndAlarm(store)) << "nothing is written meanwhile";
  EXPECT_FALSE(store->has_alarm(Alarm::kCorrupt));
  EXPECT_FALSE(EndAlarm(store)) << "it has ended";
  EXPECT_THAT(base::Message(store->Verify().status()), testing::HasSubstr("is damaged"));
  EXPECT_TRUE(store->has_alarm(Alarm::kCorrupt)) << "who meets it again raises it again";
  EXPECT_EQ(store.Put("more", "3"), 5) << "others are written";
}

TEST(Damage, OfAnOldRecordStopsNoCleanUp) {
  StoreFixture store;
  store.Put("bad", "a value to look for");
  for (int i = 0; i < 20; ++i) store.Put("good", std::to_string(i));
  Defragment(store);
  store.Close();
  const size_t at = ReadFile(store.path() + kFile).find("a value to look for");
  FlipBit(store.path() + kFile, at * 8);
  store.Open();
  store.Compact(22);
  EXPECT_TRUE(store->has_alarm(Alarm::kCorrupt)) << "it has met it";
  EXPECT_EQ(store.ReadAll().substr(0, 20), "the store is damaged");
  EXPECT_EQ(store.Read({.key = "good"}), "good=19");
  store.Close();
  const auto tables = tree::Environment::Open(store.path() + kFile, {});
  const auto txn = (*tables)->Snapshot();
  EXPECT_TRUE(*IsScrubbed(*txn));
  EXPECT_FALSE(txn->Get(tree::Table::kHistory, HistoryKey({21, 0}))->has_value());
}

TEST(Damage, ByAFileThatWasCutEndsNoReader) {
  StoreFixture store;
  Make(store);
  const std::string file = store.path() + kFile;
  const auto size = std::filesystem::file_size(file);
  for (uintmax_t left = size - 4096; left >= 3 * 4096;
       left -= std::min<uintmax_t>(left, 9 * 4096)) {
    std::filesystem::resize_file(file, left);
    const pid_t child = fork();
    if (child == 0) {
      _exit(AnyError(See(store.path())) ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << left << " of " << size;
  }
}

// What becomes of a reader of the store in `path`, in a process of its own.
std::string Outcome(const std::string& path, const std::vector<Answer>& sound) {
  const pid_t child = fork();
  if (child == 0) {
    const auto seen = See(path);
    _exit(AnyWrong(seen, sound) ? 2 : AnyError(seen) ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status)        ? "crashed"
         : WEXITSTATUS(status) == 0 ? "harmless"
         : WEXITSTATUS(status) == 1 ? "noticed"
                                    : "wrong";
}

// Of a store that is closed, or as it is when its process is killed now.
void CopyStore(const std::string& from, const std::string& to, bool with_log) {
  std::filesystem::copy_file(from + kFile, to + kFile);
  if (with_log) std::filesystem::copy_file(from + kLog, to + kLog);
}

// Flips each of the bits of a file of the store in `path` by itself; how often each outcome was.
std::map<std::string, int> Flip(const std::string& path, const char* file,
                                const std::vector<int64_t>& bits, bool with_log) {
  testing_support::TempDir sound;
  CopyStore(path, sound.path(), with_log);
  const auto whole = See(sound.path());
  EXPECT_FALSE(AnyError(whole));
  std::map<std::string, int> outcomes;
  for (const int64_t bit : bits) {
    testing_support::TempDir copy;
    CopyStore(path, copy.path(), with_log);
    FlipBit(copy.path() + file, static_cast<size_t>(bit));
    const std::string outcome = Outcome(copy.path(), whole);
    ++outcomes[outcome];
    EXPECT_NE(outcome, "wrong") << "bit " << bit;
    EXPECT_NE(outcome, "crashed") << "bit " << bit;
  }
  for (const auto& [outcome, count] : outcomes) std::printf("%s: %d\n", outcome.c_str(), count);
  return outcomes;
}

std::map<std::string, int> Flip(const StoreFixture& store, const std::vector<int64_t>& bits) {
  return Flip(store.path(), kFile, bits, /*with_log=*/false);
}

int64_t BitsOf(const StoreFixture& store) {
  return static_cast<int64_t>(std::filesystem::file_size(store.path() + kFile)) * 8;
}

std::vector<int64_t> EveryBit(int64_t begin, int64_t end) {
  std::vector<int64_t> bits;
  for (int64_t bit = begin; bit < end; ++bit) bits.push_back(bit);
  return bits;
}

TEST(Damage, OfAnyBitGivesNoWrongAnswerAndEndsNoProcess) {
  StoreFixture store;
  Make(store);
  constexpr int kFlips = 400;
  if (testing_support::EveryBit()) {
    Flip(store, EveryBit(0, BitsOf(store)));
    return;
  }
  std::vector<int64_t> bits;
  // Spread over the file, each at another place in its byte and page.
  const int64_t apart = (BitsOf(store) - 4096) / kFlips;
  for (int i = 0; i < kFlips; ++i) bits.push_back(apart * i + i * 13 % 4096);
  EXPECT_GT(Flip(store, bits)["noticed"], kFlips / 10);
}

// The key that is asked for stands between others: what its entry was isn't met on the way.
TEST(Damage, OfAKeyHidesNothing) {
  StoreFixture store;
  const auto lease = store->Grant({.ttl = 600});
  for (const char* key : {"key-0", "key-5", "key-7"}) {
    store.Put(key, "old");
    store.Put(key, "new", lease->id);
  }
  store.Compact(3);
  Defragment(store);
  store.Close();
  const std::string file = ReadFile(store.path() + kFile);
  std::vector<int64_t> bits;
  for (const std::string_view name : {"key-5", "meta", "history", "index", "lease", "cluster",
                                      "member", "compacted", "scrubbed", "format"}) {
    for (size_t at = 0; (at = file.find(name, at)) != std::string::npos; ++at)
      for (const int64_t bit : EveryBit(at * 8, static_cast<int64_t>(at + name.size()) * 8))
        if (testing_support::EveryBit() || bit % 3 == 0) bits.push_back(bit);
  }
  EXPECT_GT(Flip(store, bits)["noticed"], 100);
}

// Of the two the newer one counts.
TEST(Damage, OfTheAgeOfAFirstPageIsNoticed) {
  StoreFixture store;
  for (int i = 0; i < 9; ++i) store.Put("key-" + std::to_string(i), "v");
  store.Close();
  std::vector<int64_t> bits;
  for (const int64_t page : {0, 1}) {
    const int64_t at = page * 4096 + 16 + 128;  // mdb.c MDB_page, MDB_meta.mm_txnid
    for (const int64_t bit : EveryBit(at * 8, at * 8 + 64)) bits.push_back(bit);
  }
  EXPECT_EQ(Flip(store.path(), kFile, bits, /*with_log=*/true)["noticed"], 128);
}

// By a version that didn't note how it left the file.
TEST(Damage, IsNotWhatALogWithoutThatNoteSays) {
  StoreFixture store;
  store.Put("key", "value");
  store.Close();
  // Behind the head of each copy of a checkpoint, whose crc doesn't cover it.
  const int log = open((store.path() + kLog).c_str(), O_RDWR);
  for (const off_t copy : {0, 4096, 8192, 12288})
    ASSERT_EQ(pwrite(log, std::string(4096 - 40, '\0').data(), 4096 - 40, copy + 40), 4096 - 40);
  close(log);
  store.Open();
  EXPECT_EQ(store.ReadAll(), "key=value");
}

// Of the log of a store that was killed: the checkpoints, and each record, the last one too, whose
// writers were answered.
TEST(Damage, OfAnyBitOfTheLogLosesNoAnsweredWrite) {
  StoreFixture store;
  for (int i = 0; i < 5; ++i) store.Put("key-" + std::to_string(i % 3), std::string(90, 'v'));
  store.Delete("key-1");
  testing_support::TempDir killed;
  CopyStore(store.path(), killed.path(), /*with_log=*/true);
  const int64_t records = tree::Wal::kRingStart * 8, end = records + int64_t{3000} * 8;
  std::vector<int64_t> heads, bits;
  // The copies of both checkpoints begin at each 4096 bytes.
  for (int64_t copy = 0; copy < records; copy += 4096 * 8)
    for (int64_t bit = 0; bit < 40 * 8; bit += 29) heads.push_back(copy + bit);
  for (int64_t bit = records; bit < end; bit += 97) bits.push_back(bit);
  const bool every = testing_support::EveryBit();
  auto outcomes = Flip(killed.path(), kLog, every ? EveryBit(0, records) : heads, true);
  EXPECT_EQ(outcomes["noticed"], 0) << "there are two copies of each checkpoint";
  outcomes = Flip(killed.path(), kLog, every ? EveryBit(records, end) : bits, true);
  EXPECT_GT(outcomes["noticed"], static_cast<int>(bits.size()) / 4);
}

// Where LMDB's own numbers are: at a page's beginning, and at that of an entry.
TEST(Damage, OfThePagesThemselvesIsNoticedBeforeTheyAreFollowed) {
  StoreFixture store;
  // Branches, large values, a list of free pages.
  for (int i = 0; i < 400; ++i)
    store.Put("key-" + std::to_string(i % 150), std::string(i % 40 == 0 ? 9000 : 100, 'v'));
  Defragment(store);
  for (int i = 0; i < 20; ++i) store.Put("key-" + std::to_string(i * 7), "newer");
  store.Close();
  constexpr int64_t kPageBits = 4096 * 8;
  const int64_t pages = BitsOf(store) / kPageBits;
  std::vector<int64_t> bits;
  for (int i = 0; i < 300; ++i) {
    const int64_t page = i * 7919 % pages;
    bits.push_back(page * kPageBits + i * 104729 % (page < 2 ? 152 * 8 : 40 * 8));
  }
  EXPECT_GT(Flip(store, bits)["noticed"], 50);
}

// What is on the disk may change while the store runs: then a read says so, and others go on.
TEST(Damage, ByAFileThatIsCutWhileItIsOpenIsAnErrorOfTheRead) {
  StoreFixture store;
  for (int i = 0; i < 500; ++i) store.Put("k" + std::to_string(i), std::string(1000, 'v'));
  store.Reopen();
  std::filesystem::resize_file(store.path() + kFile, 3 * 4096);
  const auto all = store->Range({.key = "k", .range_end = "l"});
  EXPECT_TRUE(absl::IsDataLoss(all.status())) << all.status();
  EXPECT_THAT(base::Message(all.status()), testing::HasSubstr("the store is damaged"));
  EXPECT_TRUE(store->has_alarm(Alarm::kCorrupt));
  EXPECT_FALSE(store->Verify().ok());
  EXPECT_FALSE(store->TakeSnapshot().ok()) << "of that there is no copy";
  const auto put = store->Put({.key = "new", .value = "1"});
  EXPECT_FALSE(put.ok());
}

TEST(Damage, ThatTheDiskReportsLaterIsNotReadAsZeros) {
  StoreFixture store;
  store.Put("large", std::string(400'000, 'v'));
  store.Put("other", "1");
  store.Reopen();
  const auto size = std::filesystem::file_size(store.path() + kFile);
  EXPECT_EQ(store.Read({.key = "other"}), "other=1");
  std::filesystem::resize_file(store.path() + kFile, size / 2);
  std::string said;
  for (int i = 0; i < 3; ++i) {
    const auto read = store->Range({.key = "large"});
    said = std::string(base::Message(read.status()));
    EXPECT_TRUE(absl::IsDataLoss(read.status()) ||
                (read.ok() && read->kvs.at(0).value == std::string(400'000, 'v')))
        << said;
  }
}

}  // namespace
}  // namespace strata::engine
