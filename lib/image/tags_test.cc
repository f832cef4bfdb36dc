#include "lib/image/tags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::image {
namespace {

using testing::Pair;

TEST(SplitTagName, TakesTwoPartsThatAreThere) {
  EXPECT_THAT(SplitTagName("s:t").value(), Pair("s", "t"));
  for (const char* name : {"", "s", "s:", ":t", "s:t:u", "s@x", "s:t@x", ":"})
    EXPECT_FALSE(SplitTagName(name)) << name;
  EXPECT_THAT(SplitImageName("s@sha256:1").value(), Pair("s", "sha256:1"));
  for (const char* name : {"", "s", "s@", "@x", "s@x@y", "s:t"})
    EXPECT_FALSE(SplitImageName(name)) << name;
}

TEST(IsMeantBy, APrefixOfTheNameOrOfItsDigits) {
  const std::string name = "sha256:abc" + std::string(61, '0');
  for (const std::string& id : {std::string("sha256:abc"), std::string("sha"), std::string("abc"),
                                std::string("a"), name, name.substr(7)})
    EXPECT_TRUE(IsMeantBy(name, id)) << id;
  for (const std::string& id :
       {std::string("bc"), std::string("256"), std::string("sha256:b"), name + "0"})
    EXPECT_FALSE(IsMeantBy(name, id)) << id;
  EXPECT_TRUE(IsMeantBy("sha256:short", "sha256:s"));
  EXPECT_FALSE(IsMeantBy("sha256:short", "short")) << "it isn't a digest";
}

class Tags : public testing::Test {
 protected:
  Tags() {
    stream.mutable_metadata()->set_name("s");
    stream.mutable_metadata()->set_namespace_("n");
    stream.mutable_status()->set_docker_image_repository("registry:5000/n/s");
    v1::NamedTagEventList& history = *stream.mutable_status()->add_tags();
    history.set_tag("t");
    v1::TagEvent& event = *history.add_items();
    event.set_image("sha256:1");
    event.set_docker_image_reference("quay.io/a@sha256:1");
    event.set_generation(4);
    image.mutable_metadata()->set_name("sha256:1");
    image.set_docker_image_manifest("{}");
    image.set_docker_image_config("{}");
  }

  v1::TagReference& Spec(const std::string& tag) {
    v1::TagReference& spec = *stream.mutable_spec()->add_tags();
    spec.set_name(tag);
    return spec;
  }

  v1::ImageStream stream;
  v1::Image image;
};

TEST_F(Tags, HaveTheImageWithoutItsManifest) {
  const v1::ImageStreamTag tag = MakeImageStreamTag(stream, "t", image);
  EXPECT_EQ(tag.metadata().name(), "s:t");
  EXPECT_EQ(tag.generation(), 4);
  EXPECT_FALSE(tag.has_tag());
  EXPECT_EQ(tag.image().docker_image_reference(), "quay.io/a@sha256:1");
  EXPECT_FALSE(tag.image().has_docker_image_manifest());
  EXPECT_FALSE(tag.image().has_docker_image_config());
}

TEST_F(Tags, PassTheirAnnotationsOnAndAreLocalIfTheyWantTo) {
  v1::TagReference& spec = Spec("t");
  (*spec.mutable_annotations())["a"] = "tag";
  (*image.mutable_metadata()->mutable_annotations())["a"] = "image";
  spec.mutable_reference_policy()->set_type("Local");
  const v1::ImageStreamTag tag = MakeImageStreamTag(stream, "t", image);
  EXPECT_EQ(tag.metadata().annotations().at("a"), "tag");
  EXPECT_EQ(tag.image().metadata().annotations().at("a"), "tag");
  EXPECT_EQ(tag.image().docker_image_reference(), "registry:5000/n/s@sha256:1");
  EXPECT_EQ(MakeImageTag(stream, "t", &image)->image().metadata().annotations().at("a"), "image");
}

TEST_F(Tags, AreListedFromOneOn) {
  Spec("a");
  Spec("z");
  const auto listed = [&](size_t from, size_t most) {
    std::string names;
    ForEachImageTag(stream, from, [&](const v1::ImageTag& tag) {
      names += tag.metadata().name() + " ";
      return --most > 0;
    });
    return names;
  };
  EXPECT_EQ(listed(0, 9), "s:a s:t s:z ");
  EXPECT_EQ(listed(1, 9), "s:t s:z ");
  EXPECT_EQ(listed(0, 2), "s:a s:t ");
  EXPECT_EQ(listed(3, 9), "");
}

// Nothing that a record can hold is too odd to be listed.
TEST_F(Tags, OfOneNameTheFirstCounts) {
  for (const char* name : {"t", "u"}) {
    for (const char* newest : {"", "sha256:2"}) {
      v1::NamedTagEventList& history = *stream.mutable_status()->add_tags();
      history.set_tag(name);
      if (*newest != '\0') history.add_items()->set_image(newest);
    }
  }
  std::string images;
  ForEachImageStreamTag(stream, 0, [&](const v1::ImageStreamTag& tag) {
    images += tag.metadata().name() + "=" + tag.image().metadata().name() + " ";
    return true;
  });
  EXPECT_EQ(images, "s:t=sha256:1 s:t=sha256:1 s:t=sha256:1 ") << "u has none";
}

TEST_F(Tags, AreOfTheSpecTheStatusOrBoth) {
  EXPECT_FALSE(MakeImageTag(stream, "none", nullptr));
  Spec("wanted");
  const v1::ImageTag wanted = *MakeImageTag(stream, "wanted", nullptr);
  EXPECT_TRUE(wanted.has_spec());
  EXPECT_FALSE(wanted.has_status());
  EXPECT_FALSE(wanted.has_image());
  EXPECT_FALSE(MakeImageTag(stream, "t", &image)->has_spec());
}

}  // namespace
}  // namespace strata::image
