#include "storage/engine/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine/store_fixture_test.h"
#include "test/support/waiting.h"

namespace strata::engine {
namespace {

TEST(Store, StartsAtRevisionOneAndCountsEachWriteOnce) {
  StoreFixture store;
  EXPECT_EQ(store->revision(), 1);
  EXPECT_EQ(store.Put("a", "1"), 2);
  EXPECT_EQ(store.Put("a", "2"), 3);
  EXPECT_EQ(store.Delete("a"), 4);
  EXPECT_EQ(store.Delete("a"), 4) << "a deletion of nothing is no revision";
  EXPECT_EQ(store->revision(), 4);
}

TEST(Store, KeepsVersionAndCreateRevisionUntilTheKeyIsDeleted) {
  StoreFixture store;
  store.Put("a", "1");
  store.Put("a", "2");
  auto kv = store->Range({.key = "a"})->kvs.at(0);
  EXPECT_EQ(
      kv,
      (KeyValue{.key = "a", .value = "2", .create_revision = 2, .mod_revision = 3, .version = 2}));
  store.Delete("a");
  store.Put("a", "3");
  kv = store->Range({.key = "a"})->kvs.at(0);
  EXPECT_EQ(
      kv,
      (KeyValue{.key = "a", .value = "3", .create_revision = 5, .mod_revision = 5, .version = 1}));
}

struct RangeCase {
  const char* what;
  RangeRequest request;
  const char* expected;
  int64_t count;
};

TEST(Store, AnswersRangesWithTheirOptions) {
  StoreFixture store;
  store.Put("a", "z");   // 2
  store.Put("b", "y");   // 3
  store.Put("c", "x");   // 4
  store.Put("ca", "w");  // 5
  store.Put("b", "yy");  // 6
  store.Delete("ca");    // 7
  const std::vector<RangeCase> cases = {
      {"one key", {.key = "b"}, "b=yy", 1},
      {"no key", {.key = "bb"}, "", 0},
      {"half-open", {.key = "a", .range_end = "c"}, "a=z b=yy", 2},
      {"from a key on", {.key = "b", .range_end = kAll}, "b=yy c=x", 2},
      {"everything", {.key = kAll, .range_end = kAll}, "a=z b=yy c=x", 3},
      {"an end before the key", {.key = "b", .range_end = "a"}, "", 0},
      {"a limit", {.key = "a", .range_end = "z", .limit = 2}, "a=z b=yy +", 3},
      {"a limit that suffices", {.key = "a", .range_end = "z", .limit = 3}, "a=z b=yy c=x", 3},
      {"a past revision", {.key = "a", .range_end = "z", .revision = 5}, "a=z b=y c=x ca=w", 4},
      {"descending",
       {.key = "a", .range_end = "z", .sort_order = SortOrder::kDescend},
       "c=x b=yy a=z",
       3},
      {"descending with a limit",
       {.key = "a", .range_end = "z", .limit = 1, .sort_order = SortOrder::kDescend},
       "c=x +",
       3},
      {"by value",
       {.key = "a", .range_end = "z", .sort_target = SortTarget::kValue},
       "c=x b=yy a=z",
       3},
      {"by version, descending",
       {.key = "a",
        .range_end = "z",
        .limit = 1,
        .sort_order = SortOrder::kDescend,
        .sort_target = SortTarget::kVersion},
       "b=yy +",
       3},
      {"by mod revision",
       {.key = "a", .range_end = "z", .sort_target = SortTarget::kMod},
       "a=z c=x b=yy",
       3},
      {"by create revision, descending",
       {.key = "a",
        .range_end = "z",
        .sort_order = SortOrder::kDescend,
        .sort_target = SortTarget::kCreate},
       "c=x b=yy a=z",
       3},
      {"keys alone", {.key = "a", .range_end = "c", .keys_only = true}, "a= b=", 2},
      {"keys alone, by value",
       {.key = "a", .range_end = "z", .sort_target = SortTarget::kValue, .keys_only = true},
       "c= b= a=",
       3},
      {"the count alone", {.key = "a", .range_end = "z", .limit = 1, .count_only = true}, "", 3},
      {"the least mod revision",
       {.key = "a", .range_end = "z", .min_mod_revision = 4},
       "b=yy c=x",
       3},
      {"the greatest mod revision",
       {.key = "a", .range_end = "z", .max_mod_revision = 4},
       "a=z c=x",
       3},
      {"the least create revision",
       {.key = "a", .range_end = "z", .min_create_revision = 4},
       "c=x",
       3},
      {"the greatest create revision",
       {.key = "a", .range_end = "z", .max_create_revision = 3},
       "a=z b=yy",
       3},
  };
  for (const RangeCase& c : cases) {
    EXPECT_EQ(store.Read(c.request), c.expected) << c.what;
    EXPECT_EQ(store->Range(c.request)->count, c.count) << c.what;
    EXPECT_EQ(store->Range(c.request)->revision, 7) << c.what;
  }
}

TEST(Store, RefusesWhatEtcdRefusesInEtcdsWords) {
  StoreFixture store({.max_txn_ops = 2});
  store.Put("a", "1");
  const auto text = [](const auto& result) {
    return result.ok() ? "OK" : std::string(base::Message(result.status()));
  };
  EXPECT_EQ(text(store->Range({})), "etcdserver: key is not provided");
  EXPECT_EQ(text(store->Put({})), "etcdserver: key is not provided");
  EXPECT_EQ(text(store->Delete({})), "etcdserver: key is not provided");
  EXPECT_EQ(text(store->Put({.key = "a", .value = "x", .ignore_value = true})),
            "etcdserver: value is provided");
  EXPECT_EQ(text(store->Put({.key = "a", .lease = 1, .ignore_lease = true})),
            "etcdserver: lease is provided");
  EXPECT_EQ(text(store->Put({.key = "b", .ignore_value = true})), "etcdserver: key not found");
  EXPECT_EQ(text(store->Put({.key = "b", .lease = 77})), "etcdserver: requested lease not found");
  EXPECT_EQ(text(store->Range({.key = "a", .revision = 99})),
            "etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(text(store->Compact({.revision = 99})),
            "etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(text(store->Revoke({.id = 5})), "etcdserver: requested lease not found");
  EXPECT_EQ(text(store->Grant({.ttl = int64_t{1} << 40})), "etcdserver: too large lease TTL");
  EXPECT_EQ(text(store->Put({.key = std::string(481, 'k')})),
            "etcdserver: key is too long: this store takes 480 bytes");
  EXPECT_EQ(text(store->Put({.key = std::string(480, 'k')})), "OK");
  EXPECT_EQ(text(store->Range({.key = std::string(9000, 'k')})), "OK")
      << "it isn't there, that's all";
  EXPECT_EQ(text(store->Txn({.success = {Op{}}})), "etcdserver: key not found");
  EXPECT_EQ(text(store->Txn({.success = std::vector<Op>(3, Op{PutRequest{.key = "x"}})})),
            "etcdserver: too many operations in txn request");
}

struct DuplicateCase {
  const char* what;
  TxnRequest request;
  bool refused;
};

TEST(Store, RefusesATransactionThatCouldChangeAKeyTwice) {
  const auto put = [](const char* key) { return Op{PutRequest{.key = key}}; };
  const auto erase = [](const char* key, const char* end = "") {
    return Op{DeleteRequest{.key = key, .range_end = end}};
  };
  const std::vector<DuplicateCase> cases = {
      {"two puts", {.success = {put("a"), put("a")}}, true},
      {"puts of two keys", {.success = {put("a"), put("b")}}, false},
      {"a put and its deletion", {.success = {put("a"), erase("a")}}, true},
      {"a deletion, then the put", {.success = {erase("a"), put("a")}}, true},
      {"a put in a deleted range", {.failure = {erase("a", "c"), put("b")}}, true},
      {"a put at a deleted range's end", {.failure = {erase("a", "c"), put("c")}}, false},
      {"ranges that meet", {.success = {erase("a", "c"), erase("c", "e"), put("d")}}, true},
      {"a deletion from a key on",
       {.success = {put("x"), Op{DeleteRequest{.key = "b", .range_end = kAll}}}},
       true},
      {"deletions of one key", {.success = {erase("a"), erase("a", "b")}}, false},
      {"both branches", {.success = {put("a")}, .failure = {put("a")}}, false},
      {"a nested put", {.success = {put("a"), Op{TxnRequest{.success = {put("a")}}}}}, true},
      {"nested branches",
       {.success = {Op{TxnRequest{.success = {put("a")}, .failure = {put("a")}}}}},
       false},
      {"a nested put, then a nested deletion",
       {.success = {Op{TxnRequest{.success = {put("a")}}},
                    Op{TxnRequest{.failure = {erase("a")}}}}},
       true},
  };
  for (const DuplicateCase& c : cases) {
    StoreFixture store;
    const auto result = store->Txn(c.request);
    EXPECT_EQ(result.ok(), !c.refused) << c.what;
    if (c.refused) {
      EXPECT_EQ(base::Message(result.status()), "etcdserver: duplicate key given in txn request")
          << c.what;
      EXPECT_EQ(store->revision(), 1) << c.what;
    }
  }
}

struct CompareCase {
  const char* what;
  Compare compare;
  bool holds;
};

TEST(Store, ComparesAsEtcdDoes) {
  StoreFixture store;
  const int64_t lease = store->Grant({.ttl = 100})->id;
  store.Put("a", "1");         // 2
  store.Put("a", "m", lease);  // 3
  store.Put("b", "z");         // 4
  using R = Compare::Result;
  using T = Compare::Target;
  const std::vector<CompareCase> cases = {
      {"version", {.result = R::kEqual, .target = T::kVersion, .key = "a", .number = 2}, true},
      {"version less", {.result = R::kLess, .target = T::kVersion, .key = "a", .number = 2}, false},
      {"version greater",
       {.result = R::kGreater, .target = T::kVersion, .key = "a", .number = 1},
       true},
      {"version not equal",
       {.result = R::kNotEqual, .target = T::kVersion, .key = "a", .number = 1},
       true},
      {"create", {.result = R::kEqual, .target = T::kCreate, .key = "a", .number = 2}, true},
      {"mod", {.result = R::kEqual, .target = T::kMod, .key = "a", .number = 3}, true},
      {"lease", {.result = R::kEqual, .target = T::kLease, .key = "a", .number = lease}, true},
      {"no lease", {.result = R::kEqual, .target = T::kLease, .key = "b", .number = 0}, true},
      {"value", {.result = R::kEqual, .target = T::kValue, .key = "a", .value = "m"}, true},
      {"value less", {.result = R::kLess, .target = T::kValue, .key = "a", .value = "n"}, true},
      {"missing: mod 0", {.result = R::kEqual, .target = T::kMod, .key = "x", .number = 0}, true},
      {"missing: version 1",
       {.result = R::kEqual, .target = T::kVersion, .key = "x", .number = 1},
       false},
      {"missing: no value equals", {.result = R::kEqual, .target = T::kValue, .key = "x"}, false},
      {"missing: no value differs",
       {.result = R::kNotEqual, .target = T::kValue, .key = "x", .value = "q"},
       false},
      {"range: all",
       {.result = R::kGreater, .target = T::kMod, .key = "a", .range_end = "z", .number = 2},
       true},
      {"range: not all",
       {.result = R::kGreater, .target = T::kMod, .key = "a", .range_end = "z", .number = 3},
       false},
      {"range: empty",
       {.result = R::kEqual, .target = T::kMod, .key = "x", .range_end = "z", .number = 0},
       true},
      {"range: to the end",
       {.result = R::kLess, .target = T::kMod, .key = "a", .range_end = kAll, .number = 5},
       true},
  };
  for (const CompareCase& c : cases) {
    EXPECT_EQ(store->Txn({.compares = {c.compare}})->succeeded, c.holds) << c.what;
    // The same on the writer's path.
    TxnRequest writing{.compares = {c.compare}, .success = {Op{DeleteRequest{.key = "none"}}}};
    EXPECT_EQ(store->Txn(writing)->succeeded, c.holds) << c.what;
  }
  EXPECT_EQ(store->revision(), 4);
}

TEST(Store, DoesATransactionAtOneRevisionAndShowsItItsOwnWrites) {
  StoreFixture store;
  store.Put("gone", "1");
  TxnRequest nested{.compares = {{.target = Compare::Target::kVersion, .key = "new", .number = 0}},
                    .success = {Op{PutRequest{.key = "inner", .value = "i"}}}};
  const auto result = store->Txn(
      {.success = {Op{PutRequest{.key = "new", .value = "n"}}, Op{RangeRequest{.key = "new"}},
                   Op{DeleteRequest{.key = "gone", .prev_kv = true}}, Op{nested},
                   Op{RangeRequest{.key = kAll, .range_end = kAll, .count_only = true}},
                   Op{RangeRequest{.key = "gone", .revision = 2}}}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->revision, 3);
  const auto& done = result->results;
  EXPECT_EQ(std::get<PutResult>(done.at(0).result).revision, 3);
  EXPECT_EQ(std::get<RangeResult>(done.at(1).result).kvs.at(0).mod_revision, 3);
  EXPECT_EQ(std::get<DeleteResult>(done.at(2).result).prevs.at(0).value, "1");
  EXPECT_TRUE(std::get<TxnResult>(done.at(3).result).succeeded)
      << "compares see what was before the transaction";
  EXPECT_EQ(std::get<RangeResult>(done.at(4).result).count, 2);
  EXPECT_EQ(std::get<RangeResult>(done.at(5).result).kvs.at(0).value, "1");
  EXPECT_EQ(store.ReadAll(), "inner=i new=n");
  const auto all = store->Range({.key = kAll, .range_end = kAll});
  for (const KeyValue& kv : all->kvs) EXPECT_EQ(kv.mod_revision, 3);
}

TEST(Store, LeavesNothingOfATransactionThatFails) {
  StoreFixture store;
  const auto result = store->Txn({.success = {Op{PutRequest{.key = "a", .value = "1"}},
                                              Op{PutRequest{.key = "b", .ignore_value = true}}}});
  EXPECT_EQ(base::Message(result.status()), "etcdserver: key not found");
  EXPECT_EQ(store.ReadAll(), "");
  EXPECT_EQ(store->revision(), 1);
}

TEST(Store, ReopensWithEverythingItHad) {
  StoreFixture store;
  store.Put("a", "1");
  store.Put("b", "2");
  store.Delete("a");
  const auto cluster = store->cluster_id();
  store.Reopen();
  EXPECT_EQ(store->revision(), 4);
  EXPECT_EQ(store.ReadAll(), "b=2");
  EXPECT_EQ(store.ReadAll(3), "a=1 b=2");
  EXPECT_EQ(store->cluster_id(), cluster);
  EXPECT_EQ(store.Put("c", "3"), 5);
}

TEST(Store, SharesACommitAmongWritesThatWaitTogether) {
  StoreFixture store;
  std::atomic<int> answered = 0;
  std::vector<std::thread> writers;
  std::atomic<bool> distinct = true;
  std::vector<std::atomic<bool>> seen(2000);
  for (int t = 0; t < 8; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const auto result =
            store->Put({.key = "k" + std::to_string(t), .value = std::to_string(i)});
        if (!result.ok() || seen[static_cast<size_t>(result->revision)].exchange(true))
          distinct = false;
        ++answered;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_TRUE(distinct) << "each write has a revision of its own";
  EXPECT_EQ(answered, 800);
  EXPECT_EQ(store->revision(), 801);
}

TEST(Store, RefusesWritesBeyondTheQueuesBound) {
  StoreFixture store({.max_pending_writes = 1, .max_batch_writes = 1});
  std::atomic<int> done = 0;
  std::atomic<int> refused = 0;
  AnswerBytes answer = store->NewAnswer();
  for (int i = 0; i < 500; ++i) {
    store->Submit(PutRequest{.key = "a"}, answer, [&](const base::StatusOr<PutResult>& result) {
      if (absl::IsResourceExhausted(result.status())) ++refused;
      ++done;
    });
  }
  testing_support::Eventually([&] { return done == 500; });
  EXPECT_EQ(done, 500);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(store->revision(), 1 + 500 - refused);
}

}  // namespace
}  // namespace strata::engine
