#include "server/views/usage_history.h"

#include "server/views/history_fixture_test.h"

namespace strata::views {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kKind = records::Kind::kImageStream;

struct RememberedUsages {
  RememberedUsages(const layers::Index& index, const Timeline& timeline, const records::Keys& keys)
      : history(index, timeline, keys, memory) {}
  auto Read(const replica::Selection& selection) const { return history.Read(selection); }
  auto Find(const records::Id& id, base::Revision revision) const {
    return history.Find(id, revision, {});
  }

  UsageMemory memory;
  const UsageHistory history;
};
using Server = HistoryServer<RememberedUsages, kKind>;

// Of which the first begins the others.
Changes StreamsOf(const std::vector<std::string>& namespaces) {
  Changes changes;
  changes.At(2).Image("i", ImageBytes({"a"}));
  for (const std::string& ns : namespaces) changes.Stream(ns + "/app", StreamBytes("app", {"i"}));
  return changes;
}

TEST(UsageHistory, PagesShowEachNamespaceOnceInTheOrderOfKeys) {
  Server server;
  server.Apply(StreamsOf({"shop", "shop-a", "shop-b", "shops"}));
  const auto all = ElementsAre("shop-a/shop-a", "shop-b/shop-b", "shop/shop", "shops/shops");
  EXPECT_THAT(server.Names(server.All(2)), all);
  replica::Selection selection = server.All(2);
  selection.limit = 1;
  std::vector<std::string> names;
  for (int64_t left = 4; left > 0; --left) {
    const replica::Page page = *server.history.Read(selection);
    EXPECT_EQ(page.count, left);
    ASSERT_EQ(page.records.size(), 1u);
    names.push_back(page.records.front().id.ns + "/" + page.records.front().id.name);
    selection.begin = page.next;
  }
  EXPECT_THAT(names, all);
  EXPECT_THAT(selection.begin, IsEmpty());
}

TEST(UsageHistory, IsntReadForWhoIsGone) {
  Server server;
  server.Apply(StreamsOf({"shop"}));
  std::stop_source stop;
  stop.request_stop();
  replica::Selection selection = server.All(2);
  selection.stop = stop.get_token();
  EXPECT_EQ(server.history.Read(selection).status().code(), base::StatusCode::kCancelled);
}

TEST(UsageHistory, ReadsOneNamespace) {
  Server server;
  server.Apply(StreamsOf({"shop", "shop-a", "shops"}));
  EXPECT_THAT(server.Names(server.All(2, "shop")), ElementsAre("shop/shop"));
  EXPECT_THAT(server.Names(server.All(2, "shoe")), IsEmpty());
  EXPECT_TRUE(*server.history.Find({kKind, "shop", "shop"}, 2));
  EXPECT_FALSE(*server.history.Find({kKind, "shop", "app"}, 2));
}

}  // namespace
}  // namespace strata::views
