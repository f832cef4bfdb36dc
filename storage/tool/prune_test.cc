#include "storage/tool/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class PruneTest : public testing::Test {
 protected:
  // `age` hours old, of 100 bytes.
  void Make(const std::string& name, int age) {
    std::ofstream(root_ / name) << std::string(100, 'x');
    fs::last_write_time(root_ / name, now_ - std::chrono::hours(age));
  }
  // With as many bytes free as snapshots that were there at first, and aren't any more, had, and
  // `room` more.
  Pruned Keep(size_t keep, int64_t room = 1000) {
    const size_t before = Names().size();
    const auto pruned =
        Prune({.directory = root_.string(), .prefix = "strata-backup-", .keep = keep, .room = [&] {
                 return room + static_cast<int64_t>(before - Names().size()) * 100;
               }});
    EXPECT_TRUE(pruned.ok()) << pruned.status();
    return pruned.ok() ? *pruned : Pruned();
  }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(root_)) names.insert(entry.path().filename());
    return names;
  }

  const testing_support::TempDir dir_;
  const fs::path root_ = dir_.path();
  const fs::file_time_type now_ = fs::file_time_type::clock::now();
};

TEST_F(PruneTest, TheNewestAreKeptWhateverTheirNames) {
  Make("strata-backup-9.db", 18);
  Make("strata-backup-1.db", 6);
  Make("strata-backup-5.db", 12);
  const Pruned pruned = Keep(2);
  EXPECT_THAT(pruned.removed, ElementsAre("strata-backup-9.db"));
  EXPECT_THAT(pruned.kept, ElementsAre("strata-backup-5.db", "strata-backup-1.db"));
  EXPECT_THAT(Names(), ElementsAre("strata-backup-1.db", "strata-backup-5.db"));
}

TEST_F(PruneTest, OthersFilesStayAndWhatWasCutOffGoes) {
  for (const char* const name : {"strata-backup-1.db", "strata-backup-2.db"}) Make(name, 1);
  for (const char* const name :
       {"before-the-upgrade.db", "strata-backup-notes", "strata-backup-0.db.part", "other.db.part"})
    Make(name, 100);
  Make("strata-backup-3.db.part", 0);  // somebody is at work
  fs::create_directory(root_ / "strata-backup-0.db");
  Keep(1);
  EXPECT_THAT(Names(),
              ElementsAre("before-the-upgrade.db", "other.db.part", "strata-backup-0.db",
                          "strata-backup-2.db", "strata-backup-3.db.part", "strata-backup-notes"));
}

TEST_F(PruneTest, FewerAreKeptWhereTheNextHasNoRoomAndOneAlways) {
  for (int i = 1; i <= 5; ++i) Make("strata-backup-" + std::to_string(i) + ".db", 10 - i);
  EXPECT_THAT(Keep(9, 150).removed, IsEmpty());
  EXPECT_THAT(Keep(9, 0).removed, ElementsAre("strata-backup-1.db", "strata-backup-2.db"));
  EXPECT_THAT(Keep(9, -1000).kept, ElementsAre("strata-backup-5.db"));
}

TEST_F(PruneTest, ADirectoryThatIsNotThereIsNamed) {
  const auto pruned = Prune({.directory = (root_ / "absent").string(), .keep = 1});
  EXPECT_THAT(std::string(base::Message(pruned.status())),
              testing::HasSubstr("absent: No such file"));
}

}  // namespace
}  // namespace strata::tool
