// Who only looks at a store leaves it as it is.
#include <gtest/gtest.h>

#include <chrono>

#include "storage/engine/meta.h"
#include "storage/engine/store_fixture_test.h"

namespace strata::engine {
namespace {

// A store that is open again, to look at or to serve.
std::unique_ptr<Store> Again(StoreFixture& store, bool look_only, obs::Metrics& metrics) {
  store.Close();
  auto opened = Store::Open(store.path(), {.look_only = look_only}, store.clock(),
                            obs::NullLogger(), metrics);
  EXPECT_TRUE(opened.ok()) << opened.status();
  return *std::move(opened);
}

TEST(LookingOnly, EndsNoLease) {
  StoreFixture store;
  const auto lease = store->Grant({.ttl = 2});
  store.Put("leased", "value", lease->id);
  for (const bool look_only : {true, false}) {
    obs::Metrics metrics;
    const auto again = Again(store, look_only, metrics);
    store.clock().Advance(std::chrono::seconds(60));
    // With the next write go the leases that are over.
    EXPECT_TRUE(again->Put({.key = "other", .value = "1"}).ok());
    EXPECT_EQ(again->Range({.key = "leased"})->kvs.size(), look_only ? 1u : 0u);
  }
}

TEST(LookingOnly, GoesOnWithNoCleanUp) {
  StoreFixture store;
  for (int i = 0; i < 10; ++i) store.Put("key", "value");
  store.Close();
  {
    const auto tables = tree::Environment::Open(store.path() + "/" + kStoreFile, {});
    auto txn = (*tables)->Begin();
    ASSERT_TRUE(PutNumber(*txn, kMetaCompacted, 11).ok());
    ASSERT_TRUE(txn->Commit().ok());
  }
  for (const bool look_only : {true, false}) {
    obs::Metrics metrics;
    const auto again = Again(store, look_only, metrics);
    // Before the second is a step of it.
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(again->Put({.key = "other", .value = "1"}).ok());
    EXPECT_EQ(again->Verify()->changes, look_only ? 12 : 5);
  }
}

}  // namespace
}  // namespace strata::engine
