#include "server/endpoints/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "server/endpoints/handler_fixture_test.h"
#include "server/endpoints/image_objects.h"
#include "server/objects/history_fixture_test.h"
#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ObjectsOfASource : public testing::Test {
 protected:
  std::shared_ptr<TestCall> Get(const std::string& path, Maker make) {
    handlers.push_back(std::make_unique<ObjectHandler>(records, freshness, seeker, AtOnce(), clock,
                                                       std::move(make)));
    auto call = std::make_shared<TestCall>(
        registry::ImageV1(), "/apis/image.openshift.io/v1/" + path + "?resourceVersion=9");
    handlers.back()->Serve(call);
    return call;
  }

  base::FakeClock clock;
  objects::TestHistory history;
  const RecordReader::Source records{history, {}};
  TestSource source;
  Freshness freshness{source.barrier(), clock};
  Seeker seeker{source};
  std::vector<std::unique_ptr<ObjectHandler>> handlers;
};

TEST_F(ObjectsOfASource, AreOfOneRevisionWhateverTheIndexHas) {
  image::v1::ImageStream stream;
  stream.mutable_metadata()->set_name("app");
  stream.mutable_status()->add_tags()->add_items()->set_image("i");
  history.PutRecord({records::Kind::kImageStream, "ns", "app"}, stream.SerializeAsString());
  history.PutRecord({records::Kind::kImage, "", "i"}, image::v1::Image().SerializeAsString());
  layers::Index later({}, {});
  EXPECT_THAT(Get("namespaces/ns/imagestreamimages/app@i", ImageStreamImages(later))->answer,
              StartsWith("200 "));
}

TEST_F(ObjectsOfASource, AreAnsweredAtOnceWhereTheyAre) {
  history.Put("ns", "app");
  EXPECT_THAT(Get("namespaces/ns/imagestreams/app", MakeImageStream)->answer, StartsWith("200 "));
  EXPECT_TRUE(source.sought.empty());
}

TEST_F(ObjectsOfASource, AreSoughtBeforeTheyAreSaidNotToExist) {
  const struct {
    const char* path;
    Maker make;
    const char* sought;
  } kCases[] = {
      {"namespaces/ns/imagestreams/app", MakeImageStream, "ns/app "},
      {"namespaces/ns/imagestreams/app/status", MakeImageStreamStatus, "ns/app "},
      {"images/i", MakeImage, "/i "},
      {"namespaces/ns/imagestreamtags/app:latest", MakeImageStreamTag, "ns/app "},
      {"namespaces/ns/imagetags/app:latest", MakeImageTag, "ns/app "},
  };
  for (const auto& one : kCases) {
    const auto call = Get(one.path, one.make);
    EXPECT_EQ(call->answer, "") << one.path;
    ASSERT_EQ(source.sought.size(), 1u) << one.path;
    EXPECT_EQ(source.sought[0].first, one.sought);
    source.Find(false);
    EXPECT_THAT(call->answer, StartsWith("404 ")) << one.path;
  }
}

TEST_F(ObjectsOfASource, AreShownOnceTheyAreFound) {
  const auto call = Get("namespaces/ns/imagestreams/app", MakeImageStream);
  history.Put("ns", "app");
  source.Find(true);
  EXPECT_THAT(call->answer, AllOf(StartsWith("200 "), HasSubstr(R"("name":"app")")));
}

TEST_F(ObjectsOfASource, AreNotSaidNotToExistWhereThatCantBeKnown) {
  const auto call = Get("images/i", MakeImage);
  source.Find(base::UnavailableError("unreachable"));
  EXPECT_THAT(call->answer, StartsWith("504 "));
}

TEST_F(ObjectsOfASource, AreNotSoughtWhereNothingIsMissed) {
  source.misses = false;
  EXPECT_THAT(Get("images/i", MakeImage)->answer, StartsWith("404 "));
  EXPECT_TRUE(source.sought.empty());
}

}  // namespace
}  // namespace strata::endpoints
