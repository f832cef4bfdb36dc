#include "server/views/stream_view.h"

#include <regex>

#include "server/views/fixture_test.h"

namespace strata::views {
namespace {

using testing::HasSubstr;

class AStreamsView : public Views {
 protected:
  base::StatusOr<StreamView> View(const std::string& name = "app") {
    const layers::Reading reading = index.Read();
    const auto stream = reading.records.streams.Find("ns/" + name);
    EXPECT_NE(stream, nullptr);
    return ViewOf(reading, stream);
  }
  base::Revision Revision() { return View()->revision; }

  // What imagestreams/layers answers, as far as a view says it too.
  std::string Layers() {
    const std::string body = BodyOf(index, "app");
    return std::regex_replace(
        body, std::regex(R"x("kind":.*"metadata":|,"resourceVersion":"\d*"|\n)x"), "");
  }
  std::string ViewedLayers() {
    return std::regex_replace(Json(View()->object), std::regex(R"x(^\{"metadata":)x"), "{");
  }
};

TEST_F(AStreamsView, IsWhatItsLayersAre) {
  Apply(Changes()
            .At(9)
            .Image("list", ListBytes({"one", "gone"}))
            .Image("one", ImageBytes({"b", "a"}, "config"))
            .Image("two", ImageBytes({"a"}, ""))
            .Unreadable(Change::Kind::kImage, "torn", "why")
            .Stream("app", StreamBytes("app", {"list", "two", "torn"})));
  EXPECT_EQ(ViewedLayers(), Layers());
  EXPECT_THAT(Layers(), HasSubstr(R"("gone":{"imageMissing":true)")) << "or nothing was compared";
}

TEST_F(AStreamsView, SaysNothingOfTheStreamsManagedFields) {
  layers::image_v1::ImageStream stream;
  stream.mutable_metadata()->set_name("app");
  stream.mutable_metadata()->add_managed_fields()->set_manager("kubectl");
  Apply(Changes().Stream("app", codec::EncodeProtobuf(stream)));
  EXPECT_EQ(Json(View()->object.metadata()), R"({"name":"app"})");
}

TEST_F(AStreamsView, OfWhatCantBeReadSaysWhy) {
  Apply(Changes().Unreadable(Change::Kind::kImageStream, "app", "torn"));
  EXPECT_EQ(View().status().code(), base::StatusCode::kDataLoss);
  EXPECT_EQ(base::Message(View().status()), "torn");
}

TEST_F(AStreamsView, HasTheRevisionOfWhatChangedLast) {
  Apply(Changes().At(10).Image("list", ListBytes({"one"})));
  Apply(Changes().At(11).Image("one", ImageBytes({"a"})));
  Apply(Changes().At(12).Stream("app", StreamBytes("app", {"list", "two"})));
  EXPECT_EQ(Revision(), 12) << "the stream itself";
  Apply(Changes().At(13).Image("other", ImageBytes({"a"})));
  EXPECT_EQ(Revision(), 12) << "an image that it doesn't reach";
  Apply(Changes().At(14).Image("two", ImageBytes({"a"})));
  EXPECT_EQ(Revision(), 14) << "an image that came";
  Apply(Changes().At(15).Image("one", ImageBytes({"b"})));
  EXPECT_EQ(Revision(), 15) << "a child that changed";
  Apply(Changes().At(16).Image("one", ImageBytes({"b"})));
  EXPECT_EQ(Revision(), 15) << "a write that no layer shows";
  Apply(Changes().At(17).Delete(Change::Kind::kImage, "one"));
  EXPECT_EQ(Revision(), 17) << "a child that went";
  Apply(Changes().At(18).Delete(Change::Kind::kImage, "list"));
  EXPECT_EQ(Revision(), 18) << "a list that went";
  Apply(Changes().At(19).Unreadable(Change::Kind::kImage, "two", "torn"));
  EXPECT_EQ(Revision(), 19) << "an image that can't be read any more";
}

TEST_F(AStreamsView, ThatMissesAnImageSinceTheListHasTheListsRevision) {
  const auto all = [] {
    Changes changes;
    changes.At(20).Image("one", ImageBytes({"a"}));
    changes.At(21).Stream("app", StreamBytes("app", {"one", "gone"}));
    changes.At(22).Stream("whole", StreamBytes("whole", {"one"}));
    return changes;
  };
  List(30, all());
  EXPECT_EQ(Revision(), 30) << "it may have gone at any time until then";
  EXPECT_EQ(View("whole")->revision, 22);
  Apply(Changes().At(31).Image("gone", ImageBytes({"a"})));
  EXPECT_EQ(Revision(), 31);
  Apply(Changes().At(32).Delete(Change::Kind::kImage, "gone"));
  EXPECT_EQ(Revision(), 32);
  List(40, all());
  EXPECT_EQ(Revision(), 40) << "never lower than it was";
}

TEST_F(AStreamsView, RemembersWhatVanishedWhileItIsNamed) {
  Apply(Changes().At(10).Image("one", ImageBytes({"a"})).Image("two", ImageBytes({"a"})));
  Apply(Changes().At(11).Stream("app", StreamBytes("app", {"one"})));
  Apply(Changes().At(12).Delete(Change::Kind::kImage, "one").Delete(Change::Kind::kImage, "two"));
  EXPECT_EQ(index.Now().vanished.size(), 1u) << "nobody named the other";
  Apply(Changes().At(13).Stream("app", StreamBytes("app", {})));
  Apply(Changes().At(14).Image("other", ImageBytes({"a"})));
  EXPECT_EQ(index.Now().vanished.size(), 0u);
}

}  // namespace
}  // namespace strata::views
