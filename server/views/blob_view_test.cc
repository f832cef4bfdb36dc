#include "server/views/blob_view.h"

#include "server/views/fixture_test.h"

namespace strata::views {
namespace {

using testing::ElementsAre;

class ABlobsView : public Views {
 protected:
  std::string Show(const std::string& name, const Audience& audience = {.sees_all = true}) {
    const layers::Reading reading = index.Read();
    const auto view = BlobView::Of(reading, name);
    if (!view.ok()) return std::string(base::Message(view.status()));
    const auto object = view->Show(reading, audience);
    return object.ok() ? Json(*object) : "<hidden>";
  }
};

TEST_F(ABlobsView, TellsWhoUsesIt) {
  Apply(Changes()
            .At(9)
            .Image("i", ImageBytes({"a", "b", "a"}, "c"))
            .Image("h", ImageBytes({"a"}, "a"))
            .Image("list", ListBytes({"i"}))
            .Stream("x/app", StreamBytes("app", {"list", "h"}))
            .Stream("w/app", StreamBytes("app", {"i"}))
            .Stream("w/old", StreamBytes("old", {"gone"})));
  EXPECT_EQ(Show("a"),
            R"({"metadata":{"name":"a","resourceVersion":"9"},"size":10,"mediaType":"layer",)"
            R"("images":[{"name":"h","as":"Layer"},{"name":"h","as":"Config"},)"
            R"({"name":"i","as":"Layer"}],)"
            R"("streams":[{"namespace":"w","name":"app"},{"namespace":"x","name":"app"}]})");
  EXPECT_EQ(Show("c"),
            R"({"metadata":{"name":"c","resourceVersion":"9"},)"
            R"("mediaType":"application/vnd.docker.container.image.v1+json",)"
            R"("images":[{"name":"i","as":"Config"}],)"
            R"("streams":[{"namespace":"w","name":"app"},{"namespace":"x","name":"app"}]})");
  EXPECT_EQ(Show("list"), R"({"metadata":{"name":"list","resourceVersion":"9"},)"
                          R"("mediaType":"application/vnd.oci.image.index.v1+json",)"
                          R"("images":[{"name":"list","as":"Manifest"}],)"
                          R"("streams":[{"namespace":"x","name":"app"}]})");
  for (const char* none : {"gone", "x/app", "layer", "", "never heard of"})
    EXPECT_EQ(Show(none), "no image refers to such a blob") << none;
}

TEST_F(ABlobsView, ShowsNobodyMoreThanHeMaySee) {
  Apply(Changes()
            .Image("i", ImageBytes({"a"}))
            .Image("j", ImageBytes({"a", "b"}))
            .Stream("mine/app", StreamBytes("app", {"i"}))
            .Stream("other/app", StreamBytes("app", {"i", "j"})));
  EXPECT_THAT(BlobView::Of(index.Read(), "a")->Namespaces(), ElementsAre("mine", "other"));
  EXPECT_EQ(Show("a", {.namespaces = {"mine"}}),
            R"({"metadata":{"name":"a","resourceVersion":"7"},"size":10,"mediaType":"layer",)"
            R"("images":[{"name":"i","as":"Layer"}],)"
            R"("streams":[{"namespace":"mine","name":"app"}]})");
  EXPECT_EQ(Show("b", {.namespaces = {"mine"}}), "<hidden>");
}

}  // namespace
}  // namespace strata::views
