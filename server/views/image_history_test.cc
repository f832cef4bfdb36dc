#include "server/views/image_history.h"

#include <rapidcheck.h>

#include <map>

#include "server/views/history_fixture_test.h"

namespace strata::views {
namespace {

using records::Id;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kKind = records::Kind::kImage;

using Server = HistoryServer<ImageHistory, kKind>;

std::string Json(const records::Change& change) {
  v1alpha1::ImageLayers object;
  EXPECT_TRUE(object.ParseFromString(change.object));
  return codec::EncodeJson(object);
}

TEST(ImageHistory, TellsWhichImagesAreOthersToSee) {
  Server server;
  server.Apply(Changes().At(2).Image("i", ImageBytes({"a", "b"})));
  server.Apply(Changes().At(3).Stream("app", TaggedBytes("app", {{"v1", {"i"}}})));
  server.Apply(Changes().At(4).Image("j", ImageBytes({"z"})));
  server.Apply(
      Changes().At(5).Stream("app", TaggedBytes("app", {{"v1", {"i"}}, {"v2", {"j", "i"}}})));
  server.Apply(
      Changes().At(6).Stream("app", TaggedBytes("app", {{"v1", {"i"}}, {"v2", {"j", "i"}}})));
  server.Apply(Changes().At(7).Image("base", ImageBytes({"a"})));
  server.Apply(Changes().At(8).Image("list", ListBytes({"i", "gone"})));
  server.Apply(Changes().At(9).Delete(Change::Kind::kImage, "base"));
  server.Apply(Changes().At(10).Unreadable(Change::Kind::kImage, "list", "torn"));
  server.Apply(Changes().At(11).Delete(Change::Kind::kImageStream, "app"));
  server.Apply(Changes().At(12).Delete(Change::Kind::kImage, "i"));
  EXPECT_THAT(server.Told(2), ElementsAre("+i"));
  EXPECT_THAT(server.Told(3), ElementsAre("i")) << "a tag points at it";
  EXPECT_THAT(server.Told(4), ElementsAre("+j"));
  EXPECT_THAT(server.Told(5), ElementsAre("i", "j"));
  EXPECT_THAT(server.Told(6), IsEmpty()) << "of the stream nothing that shows";
  EXPECT_THAT(server.Told(7), ElementsAre("+base", "i")) << "it is built on that";
  EXPECT_THAT(server.Told(8), ElementsAre("i", "+list"));
  EXPECT_THAT(server.Told(9), ElementsAre("-base", "i"));
  EXPECT_THAT(server.Told(10), ElementsAre("i", "list"));
  EXPECT_THAT(server.Told(11), ElementsAre("i", "j"));
  EXPECT_THAT(server.Told(12), ElementsAre("-i"));
}

TEST(ImageHistory, ReadsPagesInTheOrderOfNames) {
  Server server;
  const std::string low = "sha256:" + std::string(64, '1'), high = "sha256:" + std::string(64, 'a');
  server.Apply(Changes()
                   .At(2)
                   .Image("t", ImageBytes({"a"}))
                   .Image(high, ImageBytes({"a"}))
                   .Image("b", ImageBytes({"a"}))
                   .Image(low, ImageBytes({"a"}))
                   .Stream("x/app", StreamBytes("app", {low})));
  EXPECT_THAT(server.Names(server.All(2)), ElementsAre("b", low, high, "t"));
  replica::Selection selection = server.All(2);
  selection.limit = 3;
  selection.count = true;
  const replica::Page page = *server.history.Read(selection);
  EXPECT_EQ(page.count, 4);
  EXPECT_EQ(page.next, kKeys.KeyOf({kKind, "", "t"}));
  EXPECT_THAT(
      Json(page.records[1]),
      testing::HasSubstr(R"("streams":[{"namespace":"x","name":"app","tags":["latest"]}])"));
  selection.begin = page.next;
  EXPECT_THAT(server.Names(selection), ElementsAre("t"));
  EXPECT_THAT(server.Names(server.All(1)), IsEmpty());
  EXPECT_FALSE(server.history.Read(server.All(0)).ok());
}

TEST(ImageHistory, FindsOneAsItWas) {
  Server server;
  server.Apply(Changes().At(2).Image("i", ImageBytes({"a"})));
  server.Apply(Changes().At(3).Delete(Change::Kind::kImage, "i"));
  const auto find = [&](const Id& id, base::Revision at) {
    return *server.history.Find(id, at, {});
  };
  EXPECT_FALSE(find({kKind, "", "i"}, 1));
  EXPECT_EQ(find({kKind, "", "i"}, 2)->revision, 2);
  EXPECT_FALSE(find({kKind, "", "i"}, 3));
  EXPECT_FALSE(find({records::Kind::kImageStream, "ns", "i"}, 2));
}

TEST(ImageHistory, LooksAtEverythingOnceForAllPagesRevisionsAndEvents) {
  Server server;
  Changes changes;
  changes.At(2).Image("base", ImageBytes({"a"})).Image("list", ListBytes({"i", "i"}));
  for (const std::string name : {"i", "j", "k"})
    changes.Image(name, ImageBytes({"a", name})).Stream(name, StreamBytes(name, {name}));
  server.Apply(changes);
  constexpr base::Revision kLast = 60;  // more than are remembered
  for (base::Revision now = 3; now <= kLast; ++now)
    server.Apply(Changes().At(now).Stream(
        "app", TaggedBytes("app", {{std::to_string(now), {now % 2 == 0 ? "i" : "j"}}})));
  EXPECT_EQ(server.Events(3, kLast).size(), 2u * (kLast - 2) - 1);
  std::map<base::Revision, replica::Selection> lists;
  for (base::Revision at = 2; at <= kLast; ++at) {
    lists[at] = server.All(at);
    lists[at].limit = 1;
  }
  for (const std::string name : {"base", "i", "j", "k", "list"}) {
    for (auto& [at, selection] : lists) {
      const replica::Page page = *server.history.Read(selection);
      EXPECT_EQ(page.records.at(0).id.name, name);
      const bool named = at > 2 && name == (at % 2 == 0 ? "i" : "j");
      EXPECT_EQ((Json(page.records.at(0)).find("\"app\"") != std::string::npos), named)
          << name << " at " << at;
      selection.begin = page.next;
    }
  }
  EXPECT_EQ(server.history.looks(), 1u);
  EXPECT_EQ(server.timeline.stats().relations, 16u);
}

TEST(ImageHistory, ForgetsWhatImagesWereToEachOtherWithTheRevision) {
  Server server({.max_age = std::chrono::milliseconds(100)});
  server.Apply(Changes().At(2).Image("i", ImageBytes({"a"})));
  server.Names(server.All(2));
  server.Apply(Changes().At(3).Image("j", ImageBytes({"a", "b"})));
  EXPECT_EQ(server.timeline.stats().relations, 1u);
  server.clock.Advance(std::chrono::milliseconds(101));
  server.index.Advance(4);
  EXPECT_EQ(server.timeline.stats().relations, 0u);
  EXPECT_THAT(server.Names(server.All(4)), ElementsAre("i", "j"));
  server.List(5, Changes().At(5).Image("k", ImageBytes({"a"})));
  EXPECT_EQ(server.timeline.stats().relations, 0u) << "they are of another history";
  EXPECT_THAT(server.Names(server.All(5)), ElementsAre("k"));
}

TEST(ImageHistory, PagesEndByTheirBytesWhateverNamesAnImage) {
  Server server;
  Changes changes;
  changes.At(2).Image("i", ImageBytes({"a"})).Image("j", ImageBytes({"b"}));
  for (int stream = 0; stream < 100; ++stream) {
    const std::string name = "app" + std::to_string(stream);
    changes.Stream(name, StreamBytes(name, {"i", "j"}));
  }
  server.Apply(changes);
  replica::Selection selection = server.All(2);
  selection.max_bytes = 2'000;
  EXPECT_THAT(server.Names(selection), ElementsAre("i"));
}

TEST(ImageHistory, IsntReadForWhoIsGone) {
  Server server;
  server.Apply(Changes().At(2).Image("i", ImageBytes({"a"})));
  std::stop_source stop;
  stop.request_stop();
  replica::Selection selection = server.All(2);
  selection.stop = stop.get_token();
  EXPECT_EQ(server.history.Read(selection).status().code(), base::StatusCode::kCancelled);
}

// What a get by name shows to who sees everything.
std::map<std::string, std::string> Gets(const layers::Index& index) {
  std::map<std::string, std::string> gets;
  const layers::Reading reading = index.Read();
  reading.records.images.ForEach([&](const layers::ImagePointer& image) {
    const std::string name = reading.Text(image->name());
    auto object = *ImageView::Of(reading, name)->Show(reading, {.sees_all = true});
    object.mutable_metadata()->clear_resource_version();
    gets[name] = codec::EncodeJson(object);
  });
  return gets;
}

TEST(ImageHistory, OfAnyCourseIsWhatGetsShowAtEachRevision) {
  EXPECT_TRUE(rc::check([] {
    Server server;
    std::map<std::string, std::string> told;
    const int revisions = *rc::gen::inRange(2, 40);
    for (base::Revision now = 2; now <= revisions; ++now) {
      Changes changes;
      AddRandomChanges(changes, now);
      server.Apply(changes);
      std::map<std::string, std::string> world;
      const replica::Page page = *server.history.Read(server.All(now));
      for (const records::Change& one : page.records) world[one.id.name] = Json(one);
      RC_ASSERT(world == Gets(server.index));
      for (const replica::Event& event : server.Events(now, now)) {
        const std::string& name = event.now.id.name;
        RC_ASSERT(event.now.revision == now);
        RC_ASSERT(event.before.has_value() == told.contains(name));
        if (event.before) RC_ASSERT(Json(*event.before) == told[name]);
        told.erase(name);
        if (event.now.state == records::Change::State::kPresent) told[name] = Json(event.now);
        // RC_ASSERT evaluates both sides of an operator.
        if (event.before) RC_ASSERT(event.before->object != event.now.object);
      }
      RC_ASSERT(told == world);
    }
  }));
}

}  // namespace
}  // namespace strata::views
