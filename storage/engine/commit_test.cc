// What becomes of a batch, and that nothing of it is left if it isn't committed.
#include "storage/engine/commit.h"

#include <gtest/gtest.h>

#include <utility>

#include "storage/engine/tree_fixture_test.h"

namespace strata::engine {
namespace {

using End = Outcome::End;

Batch PutsOf(AnswerBytes& answer, const std::vector<std::pair<std::string, std::string>>& puts) {
  Batch batch;
  for (const auto& [key, value] : puts) {
    batch.push_back(MakeWrite(PutRequest{.key = key, .value = value}, &answer,
                              Done<PutResult>([](const base::StatusOr<PutResult>&) {})));
  }
  return batch;
}

Outcome TryPuts(TreeFixture& tree, const std::vector<std::pair<std::string, std::string>>& puts) {
  AnswerBytes answer = tree.NewAnswer();
  return TryCommit(tree.env(), PutsOf(answer, puts), tree.alarms());
}

TEST(Commit, SaysHowFarItCame) {
  TreeFixture tree;
  const Outcome outcome = TryPuts(tree, {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(outcome.end, End::kCommitted);
  EXPECT_EQ(outcome.revision, 3);
  EXPECT_EQ(outcome.compacted, 0);
  EXPECT_EQ(tree.ReadAll(), "a=1 b=2");
  EXPECT_EQ(tree.ReadAll(2), "a=1");
}

TEST(Commit, SaysThatNothingHadToBe) {
  TreeFixture tree;
  AnswerBytes answer = tree.NewAnswer();
  base::StatusOr<DeleteResult> deleted = base::InternalError("not answered");
  Batch batch;
  batch.push_back(MakeWrite(DeleteRequest{.key = "none"}, &answer,
                            Done<DeleteResult>([&](base::StatusOr<DeleteResult> result) {
                              deleted = std::move(result);
                            })));
  EXPECT_EQ(TryCommit(tree.env(), batch, tree.alarms()).end, End::kUnchanged);
  AnswerAll(batch);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->deleted, 0);
  EXPECT_EQ(deleted->revision, 1);
}

TEST(Commit, SaysThatTheMapIsFullAndIsDoneOnceItHasGrown) {
  TreeFixture tree({.initial_map_bytes = 1 << 20, .max_map_bytes = 8 << 20});
  const std::string large(900 << 10, 'v');
  const std::vector<std::pair<std::string, std::string>> puts = {{"a", large}, {"b", large}};
  EXPECT_EQ(TryPuts(tree, puts).end, End::kMapFull);
  EXPECT_EQ(tree.ReadAll(), "");
  int grown = 0;
  Outcome outcome;
  while ((outcome = TryPuts(tree, puts)).end == End::kMapFull && grown++ < 5) {
    ASSERT_TRUE(tree.env().Grow().ok());
  }
  EXPECT_EQ(outcome.end, End::kCommitted);
  EXPECT_EQ(outcome.revision, 3);
}

TEST(Commit, IsSpoiltByAnAnswerThatCannotBeGivenAndRaisesNoAlarm) {
  TreeFixture tree({}, /*most_answer_bytes=*/1000);
  ASSERT_EQ(TryPuts(tree, {{"large", std::string(2000, 'v')}}).end, End::kCommitted);
  TxnRequest txn;
  txn.success.push_back({PutRequest{.key = "a", .value = "1"}});
  txn.success.push_back({RangeRequest{.key = "large"}});
  AnswerBytes answer = tree.NewAnswer();
  Batch batch;
  batch.push_back(
      MakeWrite(txn, &answer, Done<TxnResult>([](const base::StatusOr<TxnResult>&) {})));
  const Outcome outcome = TryCommit(tree.env(), batch, tree.alarms());
  EXPECT_EQ(outcome.end, End::kSpoilt);
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.why)) << outcome.why;
  EXPECT_FALSE(tree.alarms().on(Alarm::kCorrupt));
  auto reads = tree.reads();
  AnswerBytes small = tree.NewAnswer();
  EXPECT_EQ(reads.Range({.key = "a"}, small)->count, 0);
}

}  // namespace
}  // namespace strata::engine
