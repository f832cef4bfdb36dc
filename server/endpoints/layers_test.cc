#include "server/endpoints/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/endpoints/handler_fixture_test.h"
#include "server/layers/records_fixture_test.h"
#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

using layers::Changes;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class LayersOfWhatMayBeMissing : public testing::Test {
 protected:
  LayersOfWhatMayBeMissing() {
    index.BeginList();
    index.EndList(1);
    Apply(Changes()
              .At(2)
              .Image("i", layers::ImageBytes({"a"}))
              .Stream("whole", layers::StreamBytes("whole", {"i"})));
    Apply(Changes().At(3).Stream("gap", layers::StreamBytes("gap", {"i", "j", "k"})));
  }
  void Apply(const Changes& changes) { index.Apply(changes.all()); }
  std::shared_ptr<TestCall> Ask(const std::string& stream, const std::string& revision = "9") {
    auto call = std::make_shared<TestCall>(
        registry::ImageV1(), "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/" + stream +
                                 "/layers?resourceVersion=" + revision);
    handler.Serve(call);
    return call;
  }

  layers::Index index{{.tells_missing = true}, nullptr};
  base::SystemClock clock;
  obs::Metrics metrics;
  TestSource source;
  Freshness freshness{source.barrier(), clock};
  Seeker seeker{source};
  LayersHandler handler{index, freshness, seeker, AtOnce(), metrics};
};

TEST_F(LayersOfWhatMayBeMissing, WhatIsThereIsAnsweredAtOnce) {
  EXPECT_THAT(Ask("whole")->answer, StartsWith("200"));
  EXPECT_TRUE(source.sought.empty());
}

TEST_F(LayersOfWhatMayBeMissing, NothingIsSoughtForWhoTakesWhatIsKnown) {
  EXPECT_THAT(Ask("gap", "0")->answer, StartsWith("200"));
  EXPECT_THAT(Ask("absent", "00")->answer, StartsWith("404"));
  EXPECT_TRUE(source.sought.empty());
}

TEST_F(LayersOfWhatMayBeMissing, ImagesAreSoughtBeforeTheyAreSaidToBeMissing) {
  for (const char* way : {"built", "from the cache"}) {
    const auto call = Ask("gap");
    EXPECT_EQ(call->answer, "") << way;
    ASSERT_EQ(source.sought.size(), 1u);
    EXPECT_EQ(source.sought[0].first, "/j /k ");
    source.Find(false);
    EXPECT_THAT(call->answer, StartsWith("200"));
    EXPECT_THAT(call->answer, HasSubstr(R"("imageMissing":true)"));
  }
}

TEST_F(LayersOfWhatMayBeMissing, WhatIsFoundIsAnswered) {
  const auto call = Ask("gap");
  Apply(Changes().At(4).Image("j", layers::ListBytes({"child"})));
  source.Find(true);
  EXPECT_EQ(call->answer, "");
  EXPECT_EQ(source.sought[0].first, "/child /k ") << "what it names may be missing, too";
  Apply(Changes()
            .At(5)
            .Image("k", layers::ImageBytes({"b"}))
            .Image("child", layers::ImageBytes({"c"})));
  source.Find(true);
  EXPECT_THAT(call->answer, StartsWith("200"));
  EXPECT_THAT(call->answer, Not(HasSubstr(R"("imageMissing":true)")));
}

TEST_F(LayersOfWhatMayBeMissing, AStreamIsSoughtBeforeItIsNotFound) {
  auto call = Ask("absent");
  EXPECT_EQ(source.sought[0].first, "ns/absent ");
  source.Find(false);
  EXPECT_THAT(call->answer, StartsWith("404"));
  call = Ask("absent");
  Apply(Changes().At(4).Stream("absent", layers::StreamBytes("absent", {"i"})));
  source.Find(true);
  EXPECT_THAT(call->answer, StartsWith("200"));
}

TEST_F(LayersOfWhatMayBeMissing, WhatCantBeKnownIsNotSaid) {
  auto call = Ask("absent");
  source.Find(base::UnavailableError("connection refused"));
  EXPECT_THAT(call->answer, StartsWith("504"));
  call = Ask("gap");
  source.Find(base::ResourceExhaustedError("too many"));
  EXPECT_THAT(call->answer, StartsWith("429"));
}

TEST_F(LayersOfWhatMayBeMissing, WhatIsFoundAndNeverComesIsNotSoughtForEver) {
  for (const char* path : {"gap", "absent"}) {
    const auto call = Ask(path);
    int searches = 0;
    while (!source.sought.empty() && ++searches < 100) source.Find(true);
    EXPECT_EQ(searches, 8);
    EXPECT_THAT(call->answer, StartsWith("504")) << path;
  }
}

TEST_F(LayersOfWhatMayBeMissing, NothingIsSoughtWhereTheSourceMissesNothing) {
  source.misses = false;
  EXPECT_THAT(Ask("gap")->answer, HasSubstr(R"("imageMissing":true)"));
  EXPECT_THAT(Ask("absent")->answer, StartsWith("404"));
}

}  // namespace
}  // namespace strata::endpoints
