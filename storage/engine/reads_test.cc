// That tables can be read by who has nothing but them.
#include "storage/engine/reads.h"

#include <gtest/gtest.h>

#include "storage/engine/mutation.h"
#include "storage/engine/tree_fixture_test.h"

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

}  // namespace
}  // namespace strata::engine
