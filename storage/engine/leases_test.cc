#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/engine/store_fixture_test.h"
#include "test/support/waiting.h"

namespace strata::engine {
namespace {

base::StatusOr<LeaseTimeToLive> TimeToLive(const Store& store, int64_t lease, bool with_keys) {
  AnswerBytes answer = store.NewAnswer();
  return store.TimeToLive(lease, with_keys, answer);
}

base::StatusOr<LeaseList> ListLeases(const Store& store) {
  AnswerBytes answer = store.NewAnswer();
  return store.ListLeases(answer);
}

TEST(Store, PutsKeepTheValueOrTheLeaseOnRequest) {
  StoreFixture store;
  const int64_t lease = store->Grant({.ttl = 100})->id;
  store.Put("a", "1", lease);
  EXPECT_EQ(
      store->Put({.key = "a", .lease = 0, .prev_kv = true, .ignore_value = true})->prev->lease,
      lease);
  EXPECT_EQ(store.Read({.key = "a"}), "a=1");
  EXPECT_TRUE(TimeToLive(*store, lease, true)->keys.empty());
  store.Put("a", "2", lease);
  ASSERT_TRUE(store->Put({.key = "a", .value = "3", .ignore_lease = true}).ok());
  EXPECT_EQ(TimeToLive(*store, lease, true)->keys, std::vector<std::string>{"a"});
}

TEST(Store, LeasesEndWithTheirKeysInOneRevision) {
  StoreFixture store;
  const auto lease = *store->Grant({.ttl = 1});
  EXPECT_EQ(lease.ttl, 2) << "etcd's shortest";
  store.Put("a", "1", lease.id);
  store.Put("b", "1", lease.id);
  store.Put("c", "1");
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Grant({.id = lease.id, .ttl = 9}).status()));
  store.clock().Advance(std::chrono::milliseconds(1500));
  EXPECT_EQ(TimeToLive(*store, lease.id, false)->ttl, 1);
  EXPECT_EQ(store->KeepAlive(lease.id), 2);
  store.clock().Advance(std::chrono::milliseconds(1500));
  EXPECT_EQ(store.ReadAll(), "a=1 b=1 c=1");
  store.clock().Advance(std::chrono::seconds(2));
  testing_support::Eventually([&] { return store->revision() == 5; });
  EXPECT_EQ(store->revision(), 5);
  EXPECT_EQ(store.ReadAll(), "c=1");
  EXPECT_EQ(TimeToLive(*store, lease.id, false)->ttl, -1);
  EXPECT_EQ(store->KeepAlive(lease.id), std::nullopt);
}

TEST(Store, LeasesSurviveARestartAndARevocationDoesNot) {
  StoreFixture store;
  const int64_t kept = store->Grant({.ttl = 100})->id;
  const int64_t revoked = store->Grant({.ttl = 100})->id;
  store.Put("a", "1", kept);
  store.Put("b", "1", revoked);
  EXPECT_EQ(store->Revoke({.id = revoked})->revision, 4);
  store.Reopen();
  EXPECT_EQ(ListLeases(*store)->ids, std::vector<int64_t>{kept});
  EXPECT_EQ(TimeToLive(*store, kept, true)->keys, std::vector<std::string>{"a"});
  EXPECT_EQ(store->KeepAlive(kept), 100);
}

}  // namespace
}  // namespace strata::engine
