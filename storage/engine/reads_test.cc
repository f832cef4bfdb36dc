// That tables can be read by who has nothing but them.
#include "storage/engine/reads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "storage/engine/hash.h"
#include "storage/engine/mutation.h"
#include "storage/engine/tree_fixture_test.h"
#include "storage/engine/verify.h"

namespace strata::engine {
namespace {

void Put(TreeFixture& tree, const std::string& key, const std::string& value) {
  auto txn = tree.env().Begin();
  ASSERT_TRUE(txn.ok()) << txn.status();
  const auto before = View::Of(*txn);
  ASSERT_TRUE(before.ok()) << before.status();
  AnswerBytes answer = tree.NewAnswer();
  ASSERT_TRUE(Mutation(*txn, *before).Put({.key = key, .value = value}, answer).ok());
  ASSERT_TRUE(txn->Commit().ok());
}

TEST(Reads, NeedNoStoreOverTheTables) {
  TreeFixture tree;
  Put(tree, "a", "1");
  Put(tree, "b", "2");
  Put(tree, "a", "3");
  EXPECT_EQ(tree.ReadAll(), "a=3 b=2");
  EXPECT_EQ(tree.ReadAll(3), "a=1 b=2");
  EXPECT_EQ(tree.ReadAll(9), "etcdserver: mvcc: required revision is a future revision");

  std::string changes;
  const auto end = tree.reads().Changes(3, 1 << 20, [&](const Change& change) {
    const auto prev = change.Prev();
    changes += std::string(change.key()) + "@" + std::to_string(change.revision());
    if (prev.ok() && *prev) changes += "<" + (*prev)->value;
    changes += ' ';
    return base::StatusOr<size_t>(change.size());
  });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(changes, "b@3 a@4<1 ");
  EXPECT_EQ(end->next, 5);
  EXPECT_EQ(end->current, 4);
  EXPECT_EQ(tree.reads().Verify()->changes, 3);
}

// Whoever asks another for it may hear of the compaction before.
TEST(Reads, OfForgottenChangesSayWhereHistoryBegins) {
  TreeFixture tree;
  for (const char* value : {"1", "2", "3"}) Put(tree, "a", value);
  auto txn = tree.env().Begin();
  ASSERT_TRUE(txn.ok()) << txn.status();
  ASSERT_TRUE(Mutation(*txn, *View::Of(*txn)).Compact({.revision = 3}).ok());
  ASSERT_TRUE(txn->Commit().ok());

  int visited = 0;
  const auto visit = [&](const Change&) -> base::StatusOr<size_t> { return ++visited; };
  const auto lost = tree.reads().Changes(2, 1 << 20, visit);
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(lost->next, 2);
  EXPECT_EQ(lost->compacted, 3);
  EXPECT_EQ(lost->current, 4);
  EXPECT_EQ(visited, 0);
  EXPECT_EQ(tree.reads().Changes(3, 1 << 20, visit)->next, 5);
  EXPECT_EQ(visited, 2);
}

TEST(Reads, WhoReadsForLongGivesWayToWhoNeedsTheMap) {
  TreeFixture tree;
  Put(tree, "a", "1");
  std::future<base::Status> grown;
  {
    const auto txn = tree.env().Snapshot();
    ASSERT_TRUE(txn.ok());
    EXPECT_TRUE(VerifyTables(*txn).ok());
    grown = std::async(std::launch::async, [&] { return tree.env().Grow(); });
    while (txn->GiveWay().ok()) std::this_thread::yield();
    EXPECT_EQ(VerifyTables(*txn).status().code(), base::StatusCode::kAborted);
    EXPECT_EQ(HashHistory(*View::Of(*txn), 2).status().code(), base::StatusCode::kAborted);
  }
  EXPECT_TRUE(grown.get().ok());
  EXPECT_EQ(tree.reads().Verify()->changes, 1);
}

TEST(Reads, GoOnWhileWhoNeedsTheMapWaitsForACopy) {
  TreeFixture tree;
  Put(tree, "a", std::string(size_t{1} << 20, 'v'));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  // It takes until somebody reads it.
  auto copied = std::async(std::launch::async, [&] {
    const base::Status done = tree.env().CopyTo(ends[1]);
    close(ends[1]);
    return done;
  });
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  auto grown = std::async(std::launch::async, [&] { return tree.env().Grow(); });
  auto seen = std::async(std::launch::async, [&] {
    int ok = 0;
    for (int i = 0; i < 100; ++i) {
      ok += tree.reads().Verify().ok() ? 1 : 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return ok;
  });
  EXPECT_EQ(seen.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(grown.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  std::string piece(size_t{1} << 16, '\0');
  while (read(ends[0], piece.data(), piece.size()) > 0) {
  }
  close(ends[0]);
  EXPECT_EQ(seen.get(), 100);
  EXPECT_TRUE(grown.get().ok());
  (void)copied.get();  // a pipe can't be synced
}

}  // namespace
}  // namespace strata::engine
