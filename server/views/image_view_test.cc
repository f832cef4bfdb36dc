#include "server/views/image_view.h"

#include "server/views/blob_view.h"
#include "server/views/fixture_test.h"

namespace strata::views {
namespace {

using layers::TaggedBytes;
using testing::ElementsAre;

const Audience kEverybody{.sees_all = true};

class AnImagesView : public Views {
 protected:
  std::string Show(const std::string& name, const Audience& audience = kEverybody) {
    const layers::Reading reading = index.Read();
    const auto view = ImageView::Of(reading, name);
    if (!view.ok()) return std::string(base::Message(view.status()));
    const auto object = view->Show(reading, audience);
    return object.ok() ? Json(*object) : "<hidden>";
  }
  std::vector<std::string> Namespaces(const std::string& name) {
    return ImageView::Of(index.Read(), name)->Namespaces();
  }
};

TEST_F(AnImagesView, TellsLayersAndTags) {
  Apply(Changes()
            .At(9)
            .Image("i", ImageBytes({"a", "b", "a"}))
            .Stream("x/app", TaggedBytes("app", {{"v1", {"i"}},
                                                 {"v2", {"j", "", "i", "i"}},
                                                 {"v3", {"j"}},
                                                 {"latest", {"i", "j"}}}))
            .Stream("w/old", TaggedBytes("old", {{"v0", {"", "i"}}}))
            .Stream("w/other", StreamBytes("other", {"j"})));
  EXPECT_EQ(Show("i"),
            R"({"metadata":{"name":"i","resourceVersion":"9"},)"
            R"("mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
            R"("size":20,"config":"sha256:config","layers":[)"
            R"({"name":"a","size":10,"mediaType":"layer"},)"
            R"({"name":"b","size":10,"mediaType":"layer"},)"
            R"({"name":"a","size":10,"mediaType":"layer"}],"streams":[)"
            R"({"namespace":"w","name":"old","earlierTags":["v0"]},)"
            R"({"namespace":"x","name":"app","tags":["v1","latest"],"earlierTags":["v2"]}]})");
  EXPECT_EQ(Show("j"), "there is no such image");
  EXPECT_EQ(Show("never heard of"), "there is no such image");
}

TEST_F(AnImagesView, TellsTheListsThatItIsIn) {
  Apply(Changes()
            .Image("outer", ListBytes({"inner"}))
            .Image("inner", ListBytes({"i", "outer"}))
            .Image("i", ImageBytes({}))
            .Stream("x/app", StreamBytes("app", {"outer"})));
  EXPECT_EQ(Show("inner"), R"({"metadata":{"name":"inner","resourceVersion":"7"},)"
                           R"("mediaType":"application/vnd.oci.image.index.v1+json","size":0,)"
                           R"("manifests":["i","outer"],"manifestLists":["outer"]})");
  EXPECT_THAT(Show("i"), testing::HasSubstr(R"("manifestLists":["inner"]})"));
  EXPECT_THAT(Namespaces("i"), ElementsAre("x")) << "through both";
}

TEST_F(AnImagesView, TellsWhatItIsBuiltOn) {
  Apply(Changes()
            .Image("low", ImageBytes({"a"}))
            .Image("high", ImageBytes({"a", "b"}))
            .Image("rebuilt", ImageBytes({"a", "b"}, "other config"))
            .Image("beside", ImageBytes({"a", "c"}))
            .Image("same", ImageBytes({"a", "b", "c"}))
            .Image("empty", ImageBytes({}))
            .Image("i", ImageBytes({"a", "b", "c"})));
  const auto base = [this](const char* name) {
    const std::string object = Show(name);
    const size_t at = object.find("\"base\"");
    return at == object.npos ? "none" : object.substr(at);
  };
  EXPECT_EQ(base("i"), R"("base":{"layers":2,"size":20,"images":["high","rebuilt"]}})");
  EXPECT_EQ(base("high"), R"("base":{"layers":1,"size":10,"images":["low"]}})");
  EXPECT_EQ(base("low"), "none");
  EXPECT_EQ(base("empty"), "none");
}

TEST_F(AnImagesView, HasNoSumBelowNothingOrBeyondTheMostThatCanBeSaid) {
  Apply(Changes()
            .Image("low", ImageBytes({"a", "b"}))
            .Image("i", SizedBytes({{"a", INT64_MAX}, {"b", INT64_MAX}, {"c", -5}}))
            .Image("j", SizedBytes({{"a", -5}, {"b", INT64_MIN}, {"c", 1}})));
  EXPECT_THAT(Show("i"), testing::HasSubstr(R"("size":9223372036854775807,"layers":)"));
  EXPECT_THAT(Show("i"), testing::HasSubstr(R"("base":{"layers":2,"size":9223372036854775807,)"));
  EXPECT_THAT(Show("j"), testing::HasSubstr(R"("size":1,"layers":[{"name":"a","size":-5,)"));
  EXPECT_THAT(Show("j"), testing::HasSubstr(R"("base":{"layers":2,"size":0,)"));
}

TEST_F(AnImagesView, ShowsNobodyMoreThanHeMaySee) {
  Apply(Changes()
            .Image("base", ImageBytes({"a"}))
            .Image("hidden base", ImageBytes({"a", "b"}))
            .Image("i", ImageBytes({"a", "b", "c"}))
            .Image("list", ListBytes({"i"}))
            .Image("unnamed", ImageBytes({"z"}))
            .Stream("mine/app", StreamBytes("app", {"i", "base"}))
            .Stream("other/app", StreamBytes("app", {"i", "list", "hidden base"}))
            .Stream("third/app", StreamBytes("app", {"list"})));
  EXPECT_THAT(Namespaces("i"), ElementsAre("mine", "other", "third"));
  const std::string head = R"({"metadata":{"name":"i","resourceVersion":"7"},)"
                           R"("mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
                           R"("size":30,"config":"sha256:config","layers":[)"
                           R"({"name":"a","size":10,"mediaType":"layer"},)"
                           R"({"name":"b","size":10,"mediaType":"layer"},)"
                           R"({"name":"c","size":10,"mediaType":"layer"}],)";
  EXPECT_EQ(Show("i", {.namespaces = {"mine"}}),
            head + R"("base":{"layers":1,"size":10,"images":["base"]},)"
                   R"("streams":[{"namespace":"mine","name":"app","tags":["latest"]}]})");
  EXPECT_EQ(Show("i", {.namespaces = {"third"}}), head + R"("manifestLists":["list"]})")
      << "what a list that one may see holds, one may see";
  EXPECT_EQ(Show("i", {.namespaces = {"elsewhere"}}), "<hidden>");
  EXPECT_EQ(Show("unnamed", {.namespaces = {"mine"}}), "<hidden>");
  EXPECT_NE(Show("unnamed"), "<hidden>");
}

TEST_F(AnImagesView, OfARecordThatCantBeReadSaysWhy) {
  Apply(Changes()
            .Unreadable(Change::Kind::kImage, "i", "torn")
            .Stream("x/app", StreamBytes("app", {"i"})));
  EXPECT_EQ(Show("i"),
            R"({"metadata":{"name":"i","resourceVersion":"7"},"size":0,)"
            R"("streams":[{"namespace":"x","name":"app","tags":["latest"]}],"unreadable":"torn"})");
}

TEST_F(AnImagesView, IsGivenUpWhereItIsTooMuch) {
  layers::Index small{{.max_entries_per_answer = 3, .for_views = true}, {}};
  small.BeginList();
  small.EndList(1);
  Changes changes;
  changes.Image("i", ImageBytes({"a"})).Stream("mine/app", StreamBytes("app", {"i"}));
  // Lists and streams of others, each of which leads to it by many ways.
  std::vector<std::string> lists;
  for (int n = 0; n < 4; ++n) {
    lists.push_back("list" + std::to_string(n));
    changes.Image(lists.back(), ListBytes({"i"}));
  }
  for (int n = 0; n < 4; ++n)
    changes.Stream("ns/app" + std::to_string(n), StreamBytes("app", lists));
  small.Apply(changes.all());
  const layers::Reading reading = small.Read();
  const auto code = [&](const auto& view, const Audience& audience) {
    return view->Show(reading, audience).status().code();
  };
  const auto image = ImageView::Of(reading, "i");
  ASSERT_TRUE(image.ok());
  EXPECT_THAT(image->Namespaces(), ElementsAre("mine", "ns"));
  EXPECT_EQ(code(image, {.namespaces = {"mine"}}), base::StatusCode::kOk)
      << "what others have is not his";
  EXPECT_EQ(code(image, kEverybody), base::StatusCode::kDataLoss);
  const auto blob = BlobView::Of(reading, "a");
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(code(blob, {.namespaces = {"mine"}}), base::StatusCode::kOk);
  EXPECT_EQ(code(blob, kEverybody), base::StatusCode::kDataLoss);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(ImageView::Of(small.Read(stop.get_token()), "i").status().code(),
            base::StatusCode::kCancelled);
}

}  // namespace
}  // namespace strata::views
