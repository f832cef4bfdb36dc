#include "server/views/stream_history.h"

#include <rapidcheck.h>

#include <deque>
#include <map>
#include <regex>

#include "server/views/history_fixture_test.h"
#include "server/views/stream_view.h"

namespace strata::views {
namespace {

using records::Id;
using State = records::Change::State;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kKind = records::Kind::kImageStream;

// What there is of a stream: its revision and its layers, or why they can't be read.
struct Seen {
  base::Revision revision;
  std::string layers;
  friend bool operator==(const Seen&, const Seen&) = default;
};
using World = std::map<std::string, Seen>;

std::string LayersOf(const records::Change& change) {
  if (change.state != State::kPresent) return "<unreadable: " + change.reason + ">";
  v1alpha1::ImageStreamLayers object;
  EXPECT_TRUE(object.ParseFromString(change.object));
  object.clear_metadata();
  return "{" + codec::EncodeJson(object).substr(std::string_view(R"({"metadata":{},)").size());
}

struct Server : HistoryServer<StreamHistory, kKind> {
  using HistoryServer::HistoryServer;
  World At(base::Revision revision) const {
    World world;
    const auto page = history.Read(All(revision));
    EXPECT_TRUE(page.ok());
    for (const records::Change& one : page->records)
      world[one.id.ns + "/" + one.id.name] = {one.revision, LayersOf(one)};
    return world;
  }
};

TEST(StreamHistory, TellsWhoseLayersAreOthers) {
  Server server;
  server.Apply(Changes().At(2).Image("i", ImageBytes({"a"})));
  server.Apply(Changes().At(3).Stream("app", StreamBytes("app", {"i"})));
  server.Apply(Changes().At(4).Stream("far", StreamBytes("far", {"list"})));
  server.Apply(Changes().At(5).Image("list", ListBytes({"j"})));
  server.Apply(Changes().At(6).Image("j", ImageBytes({"b"})));
  server.Apply(Changes().At(7).Image("i", ImageBytes({"a"})));
  server.Apply(Changes().At(8).Image("i", ImageBytes({"c"})));
  server.Apply(Changes().At(9).Delete(Change::Kind::kImage, "j"));
  server.Apply(Changes().At(10).Delete(Change::Kind::kImageStream, "app"));
  server.Apply(Changes().At(11).Image("j", ImageBytes({"b"})).Image("list", ListBytes({})));
  EXPECT_THAT(server.Told(2), IsEmpty()) << "nobody names it";
  EXPECT_THAT(server.Told(3), ElementsAre("+app"));
  EXPECT_THAT(server.Told(4), ElementsAre("+far"));
  EXPECT_THAT(server.Told(5), ElementsAre("far"));
  EXPECT_THAT(server.Told(6), ElementsAre("far"));
  EXPECT_THAT(server.Told(7), IsEmpty()) << "its layers are the same";
  EXPECT_THAT(server.Told(8), ElementsAre("app"));
  EXPECT_THAT(server.Told(9), ElementsAre("far"));
  EXPECT_THAT(server.Told(10), ElementsAre("-app"));
  EXPECT_THAT(server.Told(11), ElementsAre("far"));
}

TEST(StreamHistory, TellsOfAnImageThatIsReachedByMoreWaysThanAnAnswerMayHold) {
  Server server({}, /*max_entries=*/20);
  Changes changes;
  changes.At(2);
  std::vector<std::string> lists;
  for (int n = 0; n < 8; ++n) {
    lists.push_back("list" + std::to_string(n));
    changes.Image(lists.back(), ListBytes({"i"}));
  }
  for (const char* name : {"one", "other", "third"}) changes.Stream(name, StreamBytes(name, lists));
  changes.Stream("app", StreamBytes("app", {"i"}));
  server.Apply(changes);
  server.Apply(Changes().At(3).Image("i", ImageBytes({"a"})));
  EXPECT_THAT(server.Told(3), ElementsAre("app", "one", "other", "third"));
}

TEST(StreamHistory, MakesOnlyWhatIsWantedAndNoMoreOnceItIsEnough) {
  Server server;
  Changes changes;
  changes.At(2);
  for (const char* name : {"a/app", "b/app", "c/app"})
    changes.Stream(name, StreamBytes("x", {"i"}));
  server.Apply(changes);
  server.Apply(Changes().At(3).Image("i", ImageBytes({"a"})));
  std::vector<std::string> asked, told;
  std::stop_source stop;
  replica::Interval interval{2, 3};
  interval.wants = [&](base::Revision revision, const Id& id) {
    asked.push_back(id.ns + std::to_string(revision));
    return id.ns != "a";
  };
  interval.stop = stop.get_token();
  const auto visit = [&](const replica::Event& event) {
    told.push_back(event.now.id.ns);
    if (told.size() == 3) stop.request_stop();
  };
  const auto next = server.history.Changes(interval, visit);
  EXPECT_EQ(next.status().code(), base::StatusCode::kCancelled);
  EXPECT_THAT(asked, ElementsAre("a2", "b2", "c2", "a3", "b3", "c3"));
  EXPECT_THAT(told, ElementsAre("b", "c", "b"));
}

TEST(StreamHistory, ReadsPagesInTheOrderOfKeys) {
  Server server;
  Changes changes;
  changes.At(2);
  for (const char* name : {"b/one", "a-b/one", "a/two", "a/one", "ab/one"})
    changes.Stream(name, StreamBytes("x", {}));
  server.Apply(changes);
  EXPECT_THAT(server.Names(server.All(2)),
              ElementsAre("a-b/one", "a/one", "a/two", "ab/one", "b/one"));
  EXPECT_THAT(server.Names(server.All(2, "a")), ElementsAre("a/one", "a/two"));
  EXPECT_THAT(server.Names(server.All(1)), IsEmpty());

  replica::Selection selection = server.All(2);
  selection.limit = 2;
  selection.count = true;
  replica::Page page = *server.history.Read(selection);
  EXPECT_EQ(page.count, 5);
  EXPECT_EQ(page.next, kKeys.KeyOf({kKind, "a", "two"}));
  selection.begin = page.next;
  selection.limit = 0;
  selection.max_bytes = 1;
  page = *server.history.Read(selection);
  EXPECT_EQ(page.count, 3);
  EXPECT_EQ(page.records.size(), 1u);
  selection.begin = page.next;
  selection.max_bytes = 0;
  EXPECT_THAT(server.Names(selection), ElementsAre("ab/one", "b/one"));
  EXPECT_EQ(server.history.Read(selection)->next, "");
  selection.begin = kKeys.EndOf(kKind);
  EXPECT_THAT(server.Names(selection), IsEmpty());
  selection = {.begin = kKeys.begin(), .end = kKeys.EndOf(kKind, "a"), .revision = 2};
  EXPECT_THAT(server.Names(selection), ElementsAre("a-b/one", "a/one", "a/two"));
}

TEST(StreamHistory, FindsOneAsItWas) {
  Server server;
  server.Apply(Changes().At(2).Stream("app", StreamBytes("app", {"i"})));
  server.Apply(Changes().At(3).Image("i", ImageBytes({"a"})));
  const auto find = [&](const Id& id, base::Revision at) {
    return *server.history.Find(id, at, {});
  };
  const Id app{kKind, "ns", "app"};
  EXPECT_FALSE(find(app, 1));
  EXPECT_EQ(find(app, 2)->revision, 2);
  EXPECT_EQ(find(app, 3)->revision, 3);
  EXPECT_NE(find(app, 2)->object, find(app, 3)->object);
  EXPECT_FALSE(find({kKind, "ns", "none"}, 3));
  EXPECT_FALSE(find({records::Kind::kImage, "", "i"}, 3));
  EXPECT_FALSE(server.history.Find(app, 0, {}).ok());
}

TEST(StreamHistory, ForgetsWhatIsTooMuchOrTooOldOrOfAnotherHistory) {
  Server server({.max_bytes = 100'000, .max_age = std::chrono::seconds(60)});
  const auto status = [&](base::Revision revision) {
    const auto read = server.history.Read(server.All(revision)).status().code();
    const auto changes =
        server.history.Changes({revision + 1, revision + 1, 1}, [](const auto&) {});
    EXPECT_EQ(read, changes.status().code());
    return read;
  };
  for (int n = 2; n < 200; ++n)
    server.Apply(Changes().At(n).Stream("app", StreamBytes("app", {"i"})));
  EXPECT_LE(server.timeline.stats().bytes, 100'000u);
  EXPECT_EQ(status(100), base::StatusCode::kOutOfRange);
  EXPECT_EQ(status(190), base::StatusCode::kOk);
  EXPECT_EQ(server.history.oldest(), 199 - static_cast<int>(server.timeline.stats().steps));

  server.clock.Advance(std::chrono::seconds(61));
  server.index.Advance(300);
  EXPECT_EQ(server.history.oldest(), 199);
  EXPECT_EQ(status(198), base::StatusCode::kOutOfRange);
  EXPECT_EQ(status(250), base::StatusCode::kOk);

  const uint64_t epoch = server.history.epoch();
  server.List(310, {});
  EXPECT_NE(server.history.epoch(), epoch);
  EXPECT_EQ(status(300), base::StatusCode::kOutOfRange);
  EXPECT_EQ(status(310), base::StatusCode::kOk);
}

TEST(StreamHistory, GoesOnWhereItStopped) {
  Server server;
  for (int n = 2; n < 12; ++n)
    server.Apply(Changes().At(n).Stream("app", StreamBytes("app", {"i"})));
  base::Revision from = 2;
  std::vector<base::Revision> told;
  while (from <= 11) {
    const auto next = server.history.Changes(
        {from, 11, 1}, [&](const replica::Event& event) { told.push_back(event.now.revision); });
    ASSERT_GT(*next, from);
    from = *next;
  }
  EXPECT_THAT(told, ElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

// What imagestreams/layers answers for each stream at this moment, without metadata.
std::map<std::string, std::string> LayersAnswers(layers::Index& index) {
  static const std::regex kMetadata(R"x("kind":"ImageStreamLayers".*"metadata":\{[^}]*\},|\n)x");
  std::map<std::string, std::string> answers;
  for (int n = 0; n < 3; ++n) {
    const std::string name = std::to_string(n);
    const std::string body = BodyOf(index, name);
    if (body != "<not found>") answers["ns/" + name] = std::regex_replace(body, kMetadata, "");
  }
  return answers;
}

TEST(StreamHistory, OfAnyCourseIsTheLayersAtEachRevision) {
  EXPECT_TRUE(rc::check([] {
    Server server;
    std::vector<World> worlds(2);  // by revision
    const int revisions = *rc::gen::inRange(2, 40);
    for (base::Revision now = 2; now <= revisions; ++now) {
      Changes changes;
      AddRandomChanges(changes, now);
      server.Apply(changes);

      // Lists say what imagestreams/layers does.
      const World world = server.At(now);
      std::map<std::string, std::string> layers;
      for (const auto& [key, seen] : world) layers[key] = seen.layers;
      RC_ASSERT(layers == LayersAnswers(server.index));

      // Who knew the world before and is told what changed knows it now, and which revision each
      // stream's layers are of.
      World told = worlds[now - 1];
      for (const replica::Event& event : server.Events(now, now)) {
        const std::string key = event.now.id.ns + "/" + event.now.id.name;
        RC_ASSERT(event.now.revision == now);
        RC_ASSERT(event.before.has_value() == told.contains(key));
        if (event.before) RC_ASSERT(LayersOf(*event.before) == told[key].layers);
        told.erase(key);
        if (event.now.state != State::kDeleted) told[key] = {now, LayersOf(event.now)};
      }
      for (const auto& [key, seen] : world) {
        RC_ASSERT(told[key].layers == seen.layers);
        // One that can't be read has the revision of its record.
        if (!seen.layers.starts_with('<')) RC_ASSERT(told[key].revision == seen.revision);
      }
      RC_ASSERT(told.size() == world.size());
      worlds.push_back(world);
    }
    for (base::Revision past = 1; past <= revisions; ++past)
      RC_ASSERT(server.At(past) == worlds[past]);
  }));
}

// Another server, or this one after a restart, knows of each stream no earlier revision than this
// one, nor one at which it was otherwise.
TEST(StreamHistory, OfAServerThatBeginsLaterHasNoEarlierRevisions) {
  EXPECT_TRUE(rc::check([] {
    Server server;
    std::deque<Changes> kept;
    std::map<std::pair<Change::Kind, std::string>, const Change*> records;
    const int revisions = *rc::gen::inRange(2, 30);
    for (base::Revision now = 2; now <= revisions; ++now) {
      Changes& changes = kept.emplace_back();
      changes.At(now);
      AddRandomChange(changes);
      server.Apply(changes);
      const Change& change = changes.all().front();
      records[{change.kind, std::string(change.name)}] = &change;
    }
    std::vector<Change> all;
    for (const auto& [key, record] : records) {
      if (record->state != Change::State::kDeleted) all.push_back(*record);
    }
    Server later;
    later.index.BeginList();
    later.index.AddToList(all);
    later.index.EndList(revisions);
    const World before = server.At(revisions), after = later.At(revisions);
    RC_ASSERT(before.size() == after.size());
    for (const auto& [key, seen] : after) {
      RC_ASSERT(seen.layers == before.at(key).layers);
      RC_ASSERT(seen.revision >= before.at(key).revision);
      RC_ASSERT(seen.revision <= revisions);
    }
  }));
}

}  // namespace
}  // namespace strata::views
