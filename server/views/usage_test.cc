#include "server/views/usage.h"

#include <algorithm>

#include "server/views/fixture_test.h"
#include "server/views/stream_view.h"

namespace strata::views {
namespace {

class AUsage : public Views {
 protected:
  std::string Of(std::string_view ns) {
    const auto usages = UsagesOf(index.Read());
    const v1alpha1::LayerUsage* found = Find(*usages, ns);
    return found == nullptr ? "none" : Json(*found);
  }
};

TEST_F(AUsage, CountsEachImageAndLayerOnce) {
  Apply(Changes()
            .At(9)
            .Image("list", ListBytes({"i", "gone too", "list"}))
            .Image("i", ImageBytes({"base", "a", "a"}))
            .Image("j", ImageBytes({"base", "b"}))
            .Image("k", ImageBytes({"base", "c", "d"}))
            .Image("unnamed", ImageBytes({"z"}))
            .Unreadable(Change::Kind::kImage, "torn", "why")
            .Stream("a/one", StreamBytes("one", {"list", "gone", "torn"}))
            .Stream("a/two", StreamBytes("two", {"i", "j"}))
            .Stream("b/one", StreamBytes("one", {"k"}))
            .Stream("ab/none", StreamBytes("none", {})));
  EXPECT_EQ(Of("a"),
            R"({"metadata":{"name":"a","namespace":"a"},)"
            R"("imageStreams":2,"images":4,"layers":3,"size":30,"uniqueSize":20,"sharedSize":10,)"
            R"("missingImages":2,"unreadableImages":1,"unreadableImageStreams":0})");
  EXPECT_EQ(Of("b"),
            R"({"metadata":{"name":"b","namespace":"b"},)"
            R"("imageStreams":1,"images":1,"layers":3,"size":30,"uniqueSize":20,"sharedSize":10,)"
            R"("missingImages":0,"unreadableImages":0,"unreadableImageStreams":0})");
  EXPECT_EQ(Of("ab"),
            R"({"metadata":{"name":"ab","namespace":"ab"},)"
            R"("imageStreams":1,"images":0,"layers":0,"size":0,"uniqueSize":0,"sharedSize":0,)"
            R"("missingImages":0,"unreadableImages":0,"unreadableImageStreams":0})");
  EXPECT_EQ(Of("c"), "none");
  EXPECT_EQ(UsagesOf(index.Read())->size(), 3u);
}

TEST_F(AUsage, IsOfTheSizesThatTheNamespacesOwnImagesSay) {
  for (const int64_t said : {int64_t{0}, int64_t{-5}, int64_t{1} << 62, INT64_MAX}) {
    Apply(Changes()
              .Image("honest", SizedBytes({{"base", 100}, {"own", 7}}))
              .Image("odd", SizedBytes({{"base", said}}))
              .Stream("a/one", StreamBytes("one", {"odd"}))
              .Stream("b/one", StreamBytes("one", {"honest"}))
              .Stream("c/one", StreamBytes("one", {"odd"})));
    EXPECT_THAT(Of("b"), testing::HasSubstr(R"("size":107,"uniqueSize":7,"sharedSize":100,)"));
    for (const char* other : {"a", "c"}) {
      const std::string shared = std::to_string(std::max<int64_t>(said, 0));
      EXPECT_THAT(Of(other), testing::HasSubstr(R"("layers":1,"size":)" + shared +
                                                R"(,"uniqueSize":0,"sharedSize":)" + shared + ","));
    }
  }
}

TEST_F(AUsage, IsOfTheSizesThatImageStreamLayersSayWhereImagesDisagree) {
  Apply(Changes()
            .Image("outer", ListBytes({"inner", "second"}))
            .Image("inner", ListBytes({"first"}))
            .Image("first", SizedBytes({{"base", 1}, {"base", 3}}))
            .Image("second", SizedBytes({{"base", 30}, {"own", 2}}))
            .Image("third", SizedBytes({{"base", 300}, {"own", 20}}))
            .Stream("a/one", StreamBytes("one", {"outer", "third"}))
            .Stream("a/two", StreamBytes("two", {"third"})));
  EXPECT_THAT(Of("a"), testing::HasSubstr(R"("layers":2,"size":3,"uniqueSize":3,"sharedSize":0,)"));
  const layers::Reading reading = index.Read();
  const auto view = ViewOf(reading, reading.records.streams.Find("a/one"));
  EXPECT_EQ(view->object.blobs().at("base").size(), 1);
  EXPECT_EQ(view->object.blobs().at("own").size(), 2);
}

TEST_F(AUsage, EndsAtTheMostThatCanBeSaid) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  Apply(Changes()
            .Image("i", SizedBytes({{"less than nothing", -5}, {"x", kHuge}, {"y", kHuge}}))
            .Image("j", SizedBytes({{"z", kHuge}, {"small", 7}}))
            .Image("y's", SizedBytes({{"y", 10}}))
            .Stream("a/one", StreamBytes("one", {"i", "j"}))
            .Stream("b/one", StreamBytes("one", {"y's"})));
  EXPECT_THAT(Of("a"), testing::HasSubstr(R"("layers":5,"size":9223372036854775807,)"
                                          R"("uniqueSize":4611686018427387904,)"
                                          R"("sharedSize":4611686018427387903,)"));
  EXPECT_THAT(Of("b"), testing::HasSubstr(R"("size":10,"uniqueSize":0,"sharedSize":10,)"));
}

TEST_F(AUsage, CountsStreamsThatCantBeRead) {
  Apply(Changes().Unreadable(Change::Kind::kImageStream, "app", "torn"));
  EXPECT_THAT(Of("ns"), testing::HasSubstr(R"("imageStreams":1,)"));
  EXPECT_THAT(Of("ns"), testing::HasSubstr(R"("unreadableImageStreams":1)"));
}

TEST_F(AUsage, IsCountedWithOneEntryForALayerHoweverManyReachIt) {
  Changes changes;
  for (const std::string image : {"i", "j"}) {
    std::vector<std::string> names;
    for (int layer = 0; layer < 10; ++layer) names.push_back(image + std::to_string(layer));
    changes.Image(image, ImageBytes(names));
  }
  for (int ns = 100; ns < 150; ++ns)
    changes.Stream(std::to_string(ns) + "/app", StreamBytes("app", {"i", "j"}));
  Apply(changes);
  const layers::Reading reading = index.Read();
  UsageCounter counter(reading);
  reading.records.orders->streams.VisitFrom("", [&](const layers::StreamPointer& stream) {
    counter.Add(*stream);
    EXPECT_EQ(counter.held(), 20u + 2u);
    return true;
  });
  const Usages usages = counter.Take();
  EXPECT_EQ(usages.size(), 50u);
  for (const v1alpha1::LayerUsage& usage : usages) {
    EXPECT_EQ(usage.shared_size(), 200) << usage.metadata().name();
    EXPECT_EQ(usage.unique_size(), 0) << usage.metadata().name();
  }
}

TEST_F(AUsage, IsRememberedUntilSomethingChanges) {
  UsageMemory memory;
  Apply(Changes().At(9).Stream("a/one", StreamBytes("one", {"i"})));
  const auto first = *memory.Of(index.Read());
  index.Advance(10);
  EXPECT_EQ(*memory.Of(index.Read()), first) << "others write as well";
  Apply(Changes().At(11).Image("i", ImageBytes({"a"})));
  const auto second = *memory.Of(index.Read());
  EXPECT_NE(second, first);
  EXPECT_EQ(second->front().size(), 10);
  List(11, {});
  EXPECT_TRUE((*memory.Of(index.Read()))->empty()) << "of another history";
  std::stop_source stop;
  stop.request_stop();
  Apply(Changes().At(12).Stream("a/one", StreamBytes("one", {"i"})));
  EXPECT_EQ(memory.Of(index.Read(stop.get_token())).status().code(), base::StatusCode::kCancelled);
}

TEST_F(AUsage, IsRememberedWhileOthersAskForNewerOnes) {
  std::vector<layers::Reading> readings;
  for (const base::Revision revision : {7, 8, 9}) {
    Apply(Changes().At(revision).Stream("a/one", StreamBytes("one", {})));
    readings.push_back(index.Read());
  }
  UsageMemory one;
  EXPECT_EQ(one.bytes(), 0u);
  ASSERT_TRUE(one.Of(readings[0]).ok());
  ASSERT_GT(one.bytes(), 0u);
  UsageMemory memory(2 * one.bytes());
  const auto first = *memory.Of(readings[0]);
  const std::weak_ptr<const Usages> second = *memory.Of(readings[1]);
  EXPECT_EQ(*memory.Of(readings[0]), first);
  EXPECT_EQ(second.use_count(), 1);
  const std::weak_ptr<const Usages> third = *memory.Of(readings[2]);
  EXPECT_EQ(*memory.Of(readings[0]), first);
  EXPECT_TRUE(second.expired()) << "there is room for two";
  EXPECT_FALSE(third.expired());
  EXPECT_EQ(memory.bytes(), 2 * one.bytes());
}

TEST_F(AUsage, OfNoNamespacesIsRememberedForSoManyRevisionsAlone) {
  UsageMemory memory;
  std::vector<std::weak_ptr<const Usages>> known;
  for (size_t i = 0; i <= UsageMemory::kMostKnown; ++i) {
    Apply(Changes().At(7 + static_cast<base::Revision>(i)).Image("i", ImageBytes({"a"})));
    known.push_back(*memory.Of(index.Read()));
  }
  EXPECT_TRUE(known[0].expired());
  EXPECT_FALSE(known[1].expired());
}

}  // namespace
}  // namespace strata::views
