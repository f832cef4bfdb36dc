#include "storage/tool/restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "obs/log.h"
#include "storage/engine/store.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Restores : public testing::Test {
 protected:
  Restores() {
    fs::create_directories(root);
    store = *engine::Store::Open(root / "store", {}, clock, obs::NullLogger(), metrics);
    for (int i = 0; i < 100; ++i)
      EXPECT_TRUE(store->Put({.key = "/k" + std::to_string(i), .value = "v"}).ok());
  }
  ~Restores() override {
    store.reset();
    fs::remove_all(root);
  }

  // The store as it is now, in the form that a client saves.
  std::string Saved() {
    const auto snapshot = *store->TakeSnapshot();
    std::string bytes = *snapshot->Read(0, static_cast<size_t>(*snapshot->size()));
    std::array<unsigned char, 32> digest{};
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  }
  base::StatusOr<Restored> From(const std::string& bytes) {
    std::ofstream(root / "file", std::ios::binary) << bytes;
    return Restore(root / "file", root / "restored", clock);
  }

  const fs::path root = fs::temp_directory_path() / ("strata-restore-" + std::to_string(getpid()));
  base::SystemClock clock;
  obs::Metrics metrics;
  std::unique_ptr<engine::Store> store;
};

TEST_F(Restores, TheStoreOfTheSnapshotAndNothingLater) {
  const std::string saved = Saved();
  ASSERT_TRUE(store->Put({.key = "/later", .value = "v"}).ok());
  const auto restored = From(saved);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->revision, 101);
  obs::Metrics other;
  const auto again = engine::Store::Open(root / "restored", {}, clock, obs::NullLogger(), other);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Range({.key = "/k7"})->kvs.size(), 1u);
  EXPECT_EQ((*again)->Range({.key = "/later"})->kvs.size(), 0u);
  EXPECT_EQ((*again)->cluster_id(), store->cluster_id());
}

TEST_F(Restores, WhatIsNoWholeSnapshotIsRefusedAndLeavesNothing) {
  const std::string saved = Saved();
  std::string flipped = saved;
  flipped[flipped.size() / 2] ^= 1;
  std::string other_digest = saved;
  other_digest.back() ^= 1;
  const std::string cases[] = {"",
                               "x",
                               saved.substr(0, saved.size() - 32),
                               saved.substr(0, saved.size() - 1),
                               saved.substr(0, 4096 + 32),
                               flipped,
                               other_digest};
  for (const std::string& bytes : cases) {
    EXPECT_FALSE(From(bytes).ok()) << bytes.size();
    EXPECT_FALSE(fs::exists(root / "restored")) << bytes.size();
  }
  EXPECT_FALSE(Restore(root / "none", root / "restored", clock).ok());
}

TEST_F(Restores, NothingIsOverwritten) {
  fs::create_directories(root / "restored");
  std::ofstream(root / "restored" / "precious") << "x";
  const auto restored = From(Saved());
  EXPECT_THAT(std::string(base::Message(restored.status())), HasSubstr("something is in it"));
  EXPECT_TRUE(fs::exists(root / "restored" / "precious"));
}

TEST_F(Restores, AnotherProgramsFileSaysSo) {
  std::string page(8192, 'e');
  std::array<unsigned char, 32> digest{};
  EVP_Digest(page.data(), page.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  page.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  EXPECT_THAT(std::string(base::Message(From(page).status())),
              HasSubstr("no snapshot of this store"));
}

}  // namespace
}  // namespace strata::tool
