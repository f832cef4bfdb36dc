#include "storage/tool/restore.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <random>
#include <string>

#include "lib/obs/log.h"
#include "storage/engine/store.h"
#include "test/support/full_disk.h"
#include "test/support/temp_dir.h"

// How many syncs of files succeed before all fail, in this process and those that it forks.
static std::atomic<int>& SyncsThatSucceed() {
  static void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  static auto* const left = new (shared) std::atomic<int>(INT_MAX);
  return *left;
}

// A file that is cut at the next sync; null: none.
static const char* cut_at_sync = nullptr;

// In libc's place, for LMDB too.
extern "C" int fdatasync(int file) {
  if (cut_at_sync != nullptr && truncate(cut_at_sync, 0) != 0) abort();
  if (SyncsThatSucceed().fetch_sub(1) > 0) return static_cast<int>(syscall(SYS_fdatasync, file));
  errno = EIO;
  return -1;
}

// Files without names are denied, as by NFS.
static bool files_have_names = false;

// In the place of libc's open.
extern "C" int Open(const char* path, int flags, ...) __asm__("open");
extern "C" int Open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = va_arg(rest, unsigned);
  va_end(rest);
  if (!files_have_names || (flags & O_TMPFILE) != O_TMPFILE)
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  errno = EOPNOTSUPP;
  return -1;
}

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// As a client saves it, with a digest that is right.
std::string WithDigest(std::string bytes) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

class Restores : public testing::Test {
 protected:
  std::unique_ptr<engine::Store> Open(const fs::path& directory) {
    return *engine::Store::Open(directory, {}, clock, obs::NullLogger(), metrics);
  }
  // A store of 100 keys. Nothing of it runs afterwards: restoring forks.
  std::string Saved() {
    const auto store = Open(root / "store");
    for (int i = 0; i < 100; ++i)
      EXPECT_TRUE(store->Put({.key = "/k" + std::to_string(i), .value = "v"}).ok());
    const auto snapshot = *store->TakeSnapshot();
    EXPECT_TRUE(store->Put({.key = "/later", .value = "v"}).ok());
    return *snapshot->Read(0, static_cast<size_t>(*snapshot->size()));
  }
  base::StatusOr<Restored> From(const std::string& bytes, const RestoreOptions& options = {}) {
    std::ofstream(root / "file", std::ios::binary) << bytes;
    return Restore(root / "file", root / "restored", options, clock);
  }
  // Why it was refused, in a line, with nothing left behind; empty if it wasn't.
  std::string Refusal(const std::string& bytes) {
    const auto restored = From(bytes);
    if (restored.ok()) return "";
    EXPECT_FALSE(fs::exists(root / "restored"));
    const std::string why(base::Message(restored.status()));
    EXPECT_THAT(why, StartsWith((root / "file").string() + ": "));
    EXPECT_THAT(why, Not(HasSubstr("\n")));
    return why;
  }

  const testing_support::TempDir dir;
  const fs::path root = dir.path();
  base::SystemClock clock;
  obs::Metrics metrics;
};

TEST_F(Restores, TheStoreOfTheSnapshotAndNothingLater) {
  const auto restored = From(WithDigest(Saved()));
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->revision, 101);
  const auto again = Open(root / "restored");
  EXPECT_EQ(again->Range({.key = "/k7"})->kvs.size(), 1u);
  EXPECT_EQ(again->Range({.key = "/later"})->kvs.size(), 0u);
}

// Its history goes on as another one's.
TEST_F(Restores, TheStoreIsANewOneWithAnotherClusterId) {
  const std::string saved = WithDigest(Saved());
  ASSERT_TRUE(From(saved).ok());
  const auto first = Open(root / "restored")->cluster_id();
  fs::remove_all(root / "restored");
  ASSERT_TRUE(From(saved).ok());
  const auto again = Open(root / "restored");
  EXPECT_NE(again->cluster_id(), first);
  EXPECT_NE(again->cluster_id(), Open(root / "store")->cluster_id());
}

TEST_F(Restores, ABumpedRevisionIsBeyondWhatAnybodyHasSeenAndCompacted) {
  for (const bool etcd : {false, true}) {
    std::string saved = etcd ? "" : Saved();
    if (etcd) {
      std::ifstream file("test/fuzz/corpus/storage_tool_bolt/etcd.db", std::ios::binary);
      saved.assign(std::istreambuf_iterator<char>(file), {});
    }
    const auto plain = From(WithDigest(saved));
    ASSERT_TRUE(plain.ok()) << plain.status();
    const auto kept = Open(root / "restored")->Range({.key = "/", .range_end = "0"})->kvs.size();
    fs::remove_all(root / "restored");

    const auto bumped = From(WithDigest(saved), {.bump_revision = 1'000'000'000});
    ASSERT_TRUE(bumped.ok()) << bumped.status();
    const base::Revision at = plain->revision + 1'000'000'000;
    EXPECT_EQ(bumped->revision, at);
    auto store = Open(root / "restored");
    EXPECT_EQ(store->revision(), at);
    EXPECT_EQ(store->compacted(), at);
    const auto all = store->Range({.key = "/", .range_end = "0"});
    EXPECT_EQ(all->kvs.size(), kept);
    for (const auto& kv : all->kvs) EXPECT_LE(kv.mod_revision, plain->revision);
    EXPECT_EQ(store->Range({.key = "/", .range_end = "0", .revision = at - 1}).status().code(),
              base::StatusCode::kOutOfRange);
    EXPECT_TRUE(store->Range({.key = "/", .range_end = "0", .revision = at}).ok());
    // It stays so over restarts, clean-ups and compactions.
    for (int i = 1; i <= 3; ++i) {
      EXPECT_EQ(store->Put({.key = "/new", .value = "v"})->revision, at + i);
      EXPECT_TRUE(store->Compact({.revision = at + i, .physical = true}).ok());
      EXPECT_TRUE(store->Verify().ok());
      store.reset();
      store = Open(root / "restored");
      EXPECT_EQ(store->revision(), at + i);
    }
    store.reset();
    fs::remove_all(root / "restored");
  }
  EXPECT_THAT(std::string(base::Message(
                  From(WithDigest(Saved()), {.bump_revision = int64_t{1} << 61}).status())),
              HasSubstr("--bump-revision"));
  EXPECT_FALSE(fs::exists(root / "restored"));
}

TEST_F(Restores, WhatIsNoWholeSnapshotIsRefusedAndLeavesNothing) {
  const std::string saved = WithDigest(Saved());
  std::string flipped = saved;
  flipped[flipped.size() / 2] ^= 1;
  std::string other_digest = saved;
  other_digest.back() ^= 1;
  for (const std::string& bytes :
       {std::string(), std::string("x"), saved.substr(0, saved.size() - 32),
        saved.substr(0, saved.size() - 1), saved.substr(0, 4096 + 32), flipped, other_digest})
    EXPECT_NE(Refusal(bytes), "") << bytes.size();
  EXPECT_FALSE(Restore(root / "none", root / "restored", {}, clock).ok());
}

// Whoever changes a file can also make its digest right. LMDB's pages and bbolt's can say anything.
TEST_F(Restores, AChangedSnapshotWithTheRightDigestIsRefusedOrWhole) {
  const std::string saved = Saved();
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 100; ++i) {
    std::string bytes = saved;
    // The heads of pages are what they are read by.
    const size_t page = random() % (bytes.size() / 4096) * 4096;
    for (int flips = 0; flips < 4; ++flips)
      bytes[page + random() % (i % 2 == 0 ? 64 : 4096)] = static_cast<char>(random());
    if (i % 5 == 0) bytes.resize(page + 512);
    if (!Refusal(WithDigest(bytes)).empty()) {
      ++refused;
      continue;
    }
    {
      const auto range = Open(root / "restored")->Range({.key = "/k", .range_end = "/l"});
      ASSERT_TRUE(range.ok()) << range.status();
      // Of LMDB's two first pages the other is that of an empty database: it counts if what this
      // one says of its age is changed.
      EXPECT_THAT(range->kvs.size(), AnyOf(100u, 0u));
    }
    fs::remove_all(root / "restored");
  }
  EXPECT_GT(refused, 30);
}

TEST_F(Restores, AnEtcdsSnapshotThatWasChangedIsRefusedOrImported) {
  std::ifstream file("test/fuzz/corpus/storage_tool_bolt/etcd.db", std::ios::binary);
  const std::string saved{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  ASSERT_EQ(Refusal(WithDigest(saved)), "");
  fs::remove_all(root / "restored");
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = saved;
    const size_t page = random() % (bytes.size() / 512) * 512;
    for (int flips = 0; flips < 4; ++flips)
      bytes[page + random() % (i % 2 == 0 ? 64 : 512)] = static_cast<char>(random());
    if (i % 5 == 0) bytes.resize(page + 512);
    if (!Refusal(WithDigest(bytes)).empty()) {
      ++refused;
      continue;
    }
    // bbolt's pages have no checksums: what can be read is taken for true.
    EXPECT_TRUE(Open(root / "restored")->Verify().ok());
    fs::remove_all(root / "restored");
  }
  EXPECT_GT(refused, 100);
}

TEST_F(Restores, NothingIsRestoredByADiskThatFails) {
  std::ifstream file("test/fuzz/corpus/storage_tool_bolt/etcd.db", std::ios::binary);
  const std::string etcds{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  for (const std::string& saved : {WithDigest(etcds), WithDigest(Saved())}) {
    int failed = 0;
    for (bool met = true; met; ++failed) {
      SyncsThatSucceed() = failed;
      const auto restored = From(saved, {.bump_revision = 1'000'000});
      met = SyncsThatSucceed().exchange(INT_MAX) < 0;
      EXPECT_EQ(restored.ok(), !met) << "of its syncs, " << failed << " succeeded";
      EXPECT_EQ(fs::exists(root / "restored"), restored.ok());
      fs::remove_all(root / "restored");
    }
    EXPECT_GT(failed, 5);
  }
}

TEST_F(Restores, WhatHasNoRoomIsSaidToHaveNone) {
  const std::string saved = WithDigest(Saved());
  std::ofstream(root / "file", std::ios::binary) << saved;
  const testing_support::FullDisk full(10'000);
  const auto restored = Restore(root / "file", root / "restored", {}, clock);
  EXPECT_THAT(std::string(base::Message(restored.status())), HasSubstr(": File too large"));
}

// Its pages are mapped: to read them ends the process that does.
TEST_F(Restores, AnEtcdsSnapshotThatIsCutWhileItIsReadIsRefused) {
  std::ifstream file("test/fuzz/corpus/storage_tool_bolt/etcd.db", std::ios::binary);
  const std::string etcds{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::string path = root / "file";
  cut_at_sync = path.c_str();
  EXPECT_THAT(Refusal(WithDigest(etcds)), HasSubstr("its pages can't be read"));
  cut_at_sync = nullptr;
}

TEST_F(Restores, ASnapshotIsTakenWhereFilesHaveToHaveNames) {
  files_have_names = true;
  const auto store = Open(root / "store");
  EXPECT_TRUE(store->Put({.key = "/k", .value = "v"}).ok());
  const auto snapshot = store->TakeSnapshot();
  files_have_names = false;
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  for (const auto& entry : fs::directory_iterator(root / "store"))
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("snapshot")));
  const auto bytes = (*snapshot)->Read(0, static_cast<size_t>(*(*snapshot)->size()));
  EXPECT_TRUE(From(WithDigest(*bytes)).ok());
}

TEST_F(Restores, NothingIsOverwritten) {
  fs::create_directories(root / "restored");
  std::ofstream(root / "restored" / "precious") << "x";
  const auto restored = From(WithDigest(Saved()));
  EXPECT_THAT(std::string(base::Message(restored.status())), HasSubstr("something is in it"));
  EXPECT_TRUE(fs::exists(root / "restored" / "precious"));
}

TEST_F(Restores, AnotherProgramsFileSaysSo) {
  EXPECT_THAT(Refusal(WithDigest(std::string(8192, 'e'))), HasSubstr("no snapshot of this store"));
}

}  // namespace
}  // namespace strata::tool
