#include <gtest/gtest.h>

#include <string>

#include "storage/engine/store_fixture_test.h"

namespace strata::engine {
namespace {

TEST(Store, ForgetsWhatACompactionCoversAndNothingElse) {
  StoreFixture store;
  store.Put("a", "1");  // 2
  store.Put("a", "2");  // 3
  store.Delete("a");    // 4
  store.Put("b", "1");  // 5
  const auto used = store->Hash(5)->hash;
  store.Compact(4);
  EXPECT_EQ(store.ReadAll(3), "etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(store.ReadAll(4), "");
  EXPECT_EQ(store.ReadAll(5), "b=1");
  EXPECT_NE(store->Hash(5)->hash, used);
  EXPECT_TRUE(absl::IsOutOfRange(store->Compact({.revision = 4}).status()));
  EXPECT_EQ(store->Changes(3, 1, [](const Change&) { return 0; })->next, 3);
  std::string seen;
  const auto end = store->Changes(4, 1000, [&](const Change& change) {
    seen += std::string(change.deleted() ? "-" : "+") + std::string(change.key());
    return 1;
  });
  EXPECT_EQ(seen, "-a+b") << "a watch may start at the compacted revision itself";
  EXPECT_EQ(end->next, 6);
}

TEST(Store, HashesTheSameBeforeAndAfterTheCleanUpAndARestart) {
  StoreFixture store({.scrub_changes = 1});
  for (int i = 0; i < 50; ++i) {
    store.Put("k" + std::to_string(i % 7), std::to_string(i));
    if (i % 5 == 0) store.Delete("k" + std::to_string(i % 3));
  }
  ASSERT_TRUE(store->Compact({.revision = 30}).ok());
  const auto before = *store->Hash(0);
  store.Compact(31);
  const auto at_31 = *store->Hash(0);
  store.Reopen();
  EXPECT_EQ(store->Hash(0)->hash, at_31.hash);
  EXPECT_EQ(at_31.compact_revision, 31);
  EXPECT_EQ(before.compact_revision, 30);
  EXPECT_EQ(store->compacted(), 31);
}

TEST(Store, FinishesACleanUpThatARestartInterrupted) {
  StoreFixture store({.scrub_changes = 1});
  for (int i = 0; i < 300; ++i) store.Put("k", std::string(1000, 'v'));
  ASSERT_TRUE(store->Compact({.revision = 300}).ok());
  store.Reopen();
  store.Compact(301);  // answered when all is clean
  EXPECT_LT(store->Status()->size_in_use, 40'000);
}

}  // namespace
}  // namespace strata::engine
