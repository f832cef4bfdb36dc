// Answers that are too large, or too many: refused before they are gathered, and nothing is
// changed.
#include "storage/engine/answer_bytes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "storage/engine/store_fixture_test.h"

namespace strata::engine {
namespace {

constexpr size_t kMost = 100'000;

std::string Says(const base::Status& status) {
  return status.ok() ? "ok"
                     : fmt::format("{} {}", static_cast<int>(status.code()), base::Message(status));
}

// Of ten records of 30 kB.
class LargeAnswers : public testing::Test {
 protected:
  LargeAnswers() {
    for (int i = 0; i < 10; ++i) store.Put("k" + std::to_string(i), std::string(30'000, 'v'));
  }
  static RangeRequest First(int64_t count) {
    return {.key = "k", .range_end = "l", .limit = count};
  }
  static TxnRequest Reads(int ranges) {
    return {.success = std::vector<Op>(static_cast<size_t>(ranges), Op{First(1)})};
  }

  StoreFixture store{Options{.max_answer_bytes = kMost}};
  const testing::Matcher<std::string> is_refused =
      testing::AllOf(testing::StartsWith("8 grpc: trying to send message larger than max ("),
                     testing::EndsWith(" vs. 100000)"));
};

TEST_F(LargeAnswers, OfARangeAreRefusedAndSmallerOnesGiven) {
  EXPECT_EQ(store->Range(First(3))->kvs.size(), 3u);
  EXPECT_THAT(Says(store->Range(First(4)).status()), is_refused);
  EXPECT_THAT(Says(store->Range(First(0)).status()), is_refused);
  EXPECT_EQ(store->Range({.key = "k", .range_end = "l", .keys_only = true})->kvs.size(), 10u);
  EXPECT_EQ(store->Range({.key = "k", .range_end = "l", .count_only = true})->count, 10);
}

TEST_F(LargeAnswers, AreNotThoseThatALimitCutsAfterSorting) {
  const auto newest = store->Range({.key = "k",
                                    .range_end = "l",
                                    .limit = 2,
                                    .sort_order = SortOrder::kDescend,
                                    .sort_target = SortTarget::kMod});
  ASSERT_TRUE(newest.ok()) << newest.status();
  ASSERT_EQ(newest->kvs.size(), 2u);
  EXPECT_EQ(newest->kvs[0].key, "k9");
  EXPECT_EQ(newest->kvs[1].value.size(), 30'000u);
  EXPECT_TRUE(newest->more);
}

TEST_F(LargeAnswers, OfATransactionAreCountedTogether) {
  EXPECT_TRUE(store->Txn(Reads(3)).ok());
  EXPECT_THAT(Says(store->Txn(Reads(4)).status()), is_refused);
  const TxnRequest nested{.success = {Op{Reads(2)}, Op{Reads(2)}}};
  EXPECT_THAT(Says(store->Txn(nested).status()), is_refused);
}

TEST_F(LargeAnswers, OfWritesLeaveNoTrace) {
  const Revision before = store->revision();
  const DeleteRequest erase{.key = "k", .range_end = "l", .prev_kv = true};
  EXPECT_THAT(Says(store->Delete(erase).status()), is_refused);
  EXPECT_THAT(Says(store->Txn({.success = {Op{PutRequest{.key = "a"}}, Op{erase}}}).status()),
              is_refused);
  TxnRequest reads = Reads(4);
  reads.success.push_back(Op{PutRequest{.key = "a"}});
  EXPECT_THAT(Says(store->Txn(reads).status()), is_refused);
  EXPECT_EQ(store->revision(), before);
  EXPECT_FALSE(store->has_alarm(Alarm::kCorrupt));
  EXPECT_EQ(store->Range({.key = "k", .range_end = "l", .count_only = true})->count, 10);
  EXPECT_EQ(store->Delete({.key = "k", .range_end = "l"})->deleted, 10)
      << "what was before isn't asked for";
}

TEST_F(LargeAnswers, SpoilNothingForWhoWritesAtTheSameTime) {
  AnswerBytes large = store->NewAnswer(), small = store->NewAnswer();
  std::atomic<int> refused = 0, done = 0;
  constexpr int kRounds = 100;
  for (int i = 0; i < kRounds; ++i) {
    store->Submit(
        TxnRequest{.success = {Op{PutRequest{.key = "a"}},
                               Op{DeleteRequest{.key = "k", .range_end = "l", .prev_kv = true}}}},
        large, [&](const base::StatusOr<TxnResult>& result) {
          refused += absl::IsResourceExhausted(result.status());
          ++done;
        });
    store->Submit(PutRequest{.key = "b"}, small, [&](const base::StatusOr<PutResult>& result) {
      EXPECT_TRUE(result.ok()) << result.status();
      ++done;
    });
  }
  while (done < 2 * kRounds) std::this_thread::yield();
  EXPECT_EQ(refused, kRounds);
  EXPECT_EQ(store.Read({.key = "a"}), "");
  EXPECT_EQ(store->Range({.key = "b"})->kvs.at(0).version, kRounds);
}

TEST_F(LargeAnswers, OfLeasesAreRefused) {
  const auto lease = store->Grant({.ttl = 600});
  for (int i = 0; i < 300; ++i) store.Put(std::string(400, 'x') + std::to_string(i), "", lease->id);
  AnswerBytes answer = store->NewAnswer(), other = store->NewAnswer();
  EXPECT_THAT(Says(store->TimeToLive(lease->id, /*with_keys=*/true, answer).status()), is_refused);
  EXPECT_TRUE(store->TimeToLive(lease->id, /*with_keys=*/false, other).ok());
  EXPECT_TRUE(store->Revoke({.id = lease->id}).ok());
}

TEST(Answers, AreBoundedTogetherUntilTheyAreSent) {
  StoreFixture store({.max_inflight_answer_bytes = 4 << 20});
  for (int i = 0; i < 3; ++i) store.Put("k" + std::to_string(i), std::string(1 << 20, 'v'));
  const RangeRequest all{.key = "k", .range_end = "l"};
  {
    AnswerBytes first = store->NewAnswer(), second = store->NewAnswer();
    EXPECT_TRUE(store->Range(all, first).ok());
    EXPECT_EQ(Says(store->Range(all, second).status()), "8 etcdserver: too many requests");
    AnswerBytes small = store->NewAnswer();
    EXPECT_TRUE(store->Range({.key = "none"}, small).ok()) << "small ones ask nobody";
  }
  EXPECT_TRUE(store->Range(all).ok()) << "what was sent makes room";
}

}  // namespace
}  // namespace strata::engine
