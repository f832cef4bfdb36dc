#include "storage/tool/recover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "lib/obs/log.h"
#include "storage/engine/store.h"
#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class Recovers : public testing::Test {
 protected:
  Recovers() {
    {
      const auto store = Open(root / "store");
      for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(store->Put({.key = "/k" + std::to_string(i), .value = "sound"}).ok());
      EXPECT_TRUE(store->Put({.key = "/bad", .value = "a value to look for"}).ok());
      cluster_id = store->cluster_id();
    }
    std::string bytes = Bytes();
    for (size_t at = 0; (at = bytes.find("a value to look for", at)) != std::string::npos; ++at)
      bytes[at] = 'A';
    std::ofstream(root / "store/records.mdb", std::ios::binary) << bytes;
  }

  std::unique_ptr<engine::Store> Open(const fs::path& directory) {
    return *engine::Store::Open(directory, {}, clock, obs::NullLogger(), metrics);
  }
  std::string Bytes() {
    std::ifstream file(root / "store/records.mdb", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  base::StatusOr<engine::Recovered> From(const fs::path& damaged,
                                         const RecoverOptions& options = {}) {
    return Recover(damaged, root / "made", options, clock,
                   [this](std::string_view line) { lines.emplace_back(line); });
  }

  const testing_support::TempDir dir;
  const fs::path root = dir.path();
  base::SystemClock clock;
  obs::Metrics metrics;
  uint64_t cluster_id = 0;  // before the damage
  std::vector<std::string> lines;
};

TEST_F(Recovers, WhatCanBeReadAndLeavesTheDamagedDirectoryAsItIs) {
  const std::string before = Bytes();
  const auto recovered = From(root / "store");
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(recovered->lost, 1);
  EXPECT_EQ(recovered->changes, 20);
  EXPECT_THAT(lines, Contains("lost: revision 22 of /bad"));
  EXPECT_EQ(Bytes(), before);
  EXPECT_FALSE(fs::exists(root / "made" / engine::kRestoring));
  const auto made = Open(root / "made");
  EXPECT_EQ(made->Range({.key = "/", .range_end = "0"})->count, 20);
  EXPECT_NE(made->cluster_id(), cluster_id);
}

TEST_F(Recovers, NothingInADryRun) {
  const auto looked = From(root / "store", {.dry_run = true});
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_THAT(lines, Contains("lost: revision 22 of /bad"));
  EXPECT_FALSE(fs::exists(root / "made"));
}

TEST_F(Recovers, OnlyIntoADirectoryOfItsOwn) {
  fs::create_directory(root / "made");
  std::ofstream(root / "made/something") << "x";
  EXPECT_THAT(base::Message(From(root / "store").status()), HasSubstr("something is in it"));
  EXPECT_TRUE(fs::exists(root / "made/something"));
  fs::remove_all(root / "made");
  EXPECT_FALSE(From(root).ok());
  EXPECT_FALSE(fs::exists(root / "made")) << "nothing is left of what failed";
}

}  // namespace
}  // namespace strata::tool
