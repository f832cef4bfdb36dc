#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "storage/engine/store_fixture_test.h"

namespace strata::engine {
namespace {

namespace fs = std::filesystem;

TEST(Store, IsHeldByOneProcessAndSaysByWhich) {
  StoreFixture store;
  obs::Metrics metrics;
  const base::SystemClock clock;
  const auto second = Store::Open(store.path(), {}, clock, obs::NullLogger(), metrics);
  EXPECT_EQ(base::Message(second.status()),
            store.path() + " is in use by process " + std::to_string(getpid()));
}

TEST(Store, KeepsItsFilesPrivate) {
  const mode_t before = umask(0);  // so that each file's mode is the one that it is made with
  testing_support::TempDir dir;
  const std::string path = dir.path() + "/made";
  obs::Metrics metrics;
  const base::SystemClock clock;
  const auto store = Store::Open(path, {}, clock, obs::NullLogger(), metrics);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto look = [&] {
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path)) {
      names.push_back(entry.path().filename());
      EXPECT_EQ(entry.status().permissions(), fs::perms::owner_read | fs::perms::owner_write)
          << names.back();
    }
    EXPECT_THAT(names, testing::UnorderedElementsAre("lock", "records.mdb", "records.mdb-lock",
                                                     "records.mdb-wal"));
  };
  look();
  absl::Notification defragmented;
  (*store)->Submit(DefragmentRequest{}, [&](const base::StatusOr<DefragmentResult>& result) {
    EXPECT_TRUE(result.ok()) << result.status();
    defragmented.Notify();
  });
  defragmented.WaitForNotification();
  look();
  umask(before);
}

TEST(Store, RefusesAFormatThatItDoesNotKnow) {
  StoreFixture store;
  store.Close();
  {
    auto env = tree::Environment::Open(store.path() + "/records.mdb", {});
    auto txn = (*env)->Begin();
    ASSERT_TRUE(txn->PutBare(tree::Table::kMeta, kMetaFormat, EncodeNumber(4)).ok());
    ASSERT_TRUE(txn->Commit().ok());
  }
  obs::Metrics metrics;
  const base::SystemClock clock;
  const auto opened = Store::Open(store.path(), {}, clock, obs::NullLogger(), metrics);
  EXPECT_EQ(
      base::Message(opened.status()),
      store.path() +
          ": the store has format 4, and this program knows format 3: use the version of Strata "
          "that wrote it, there `dump` it, and `load` that here");
}

TEST(Store, RefusesAFileThatIsSomethingElse) {
  testing_support::TempDir dir;
  FILE* file = fopen((dir.path() + "/records.mdb").c_str(), "w");
  for (int i = 0; i < 10'000; ++i) fputs("not a database ", file);
  fclose(file);
  obs::Metrics metrics;
  const base::SystemClock clock;
  const auto opened = Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
  EXPECT_TRUE(absl::IsDataLoss(opened.status())) << opened.status();
}

}  // namespace
}  // namespace strata::engine
