#include "server/views/usage.h"

#include "server/views/fixture_test.h"

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
            R"({"metadata":{"name":"a","namespace":"a","resourceVersion":"9"},)"
            R"("imageStreams":2,"images":4,"layers":3,"size":30,"uniqueSize":20,"sharedSize":10,)"
            R"("missingImages":2,"unreadableImages":1,"unreadableImageStreams":0})");
  EXPECT_EQ(Of("b"),
            R"({"metadata":{"name":"b","namespace":"b","resourceVersion":"9"},)"
            R"("imageStreams":1,"images":1,"layers":3,"size":30,"uniqueSize":20,"sharedSize":10,)"
            R"("missingImages":0,"unreadableImages":0,"unreadableImageStreams":0})");
  EXPECT_EQ(Of("ab"),
            R"({"metadata":{"name":"ab","namespace":"ab","resourceVersion":"9"},)"
            R"("imageStreams":1,"images":0,"layers":0,"size":0,"uniqueSize":0,"sharedSize":0,)"
            R"("missingImages":0,"unreadableImages":0,"unreadableImageStreams":0})");
  EXPECT_EQ(Of("c"), "none");
  EXPECT_EQ(UsagesOf(index.Read())->size(), 3u);
}

TEST_F(AUsage, CountsStreamsThatCantBeRead) {
  Apply(Changes().Unreadable(Change::Kind::kImageStream, "app", "torn"));
  EXPECT_THAT(Of("ns"), testing::HasSubstr(R"("imageStreams":1,)"));
  EXPECT_THAT(Of("ns"), testing::HasSubstr(R"("unreadableImageStreams":1)"));
}

TEST_F(AUsage, IsRememberedUntilSomethingChanges) {
  UsageMemory memory;
  Apply(Changes().At(9).Stream("a/one", StreamBytes("one", {"i"})));
  const auto first = *memory.Of(index.Read());
  EXPECT_EQ(*memory.Of(index.Read()), first);
  Apply(Changes().At(10).Image("i", ImageBytes({"a"})));
  const auto second = *memory.Of(index.Read());
  EXPECT_NE(second, first);
  EXPECT_EQ(second->front().size(), 10);
  List(10, {});
  EXPECT_TRUE((*memory.Of(index.Read()))->empty()) << "of another history";
  std::stop_source stop;
  stop.request_stop();
  Apply(Changes().At(11).Stream("a/one", StreamBytes("one", {"i"})));
  EXPECT_EQ(memory.Of(index.Read(stop.get_token())).status().code(), base::StatusCode::kCancelled);
}

}  // namespace
}  // namespace strata::views
