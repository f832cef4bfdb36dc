#include "lib/image/cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::image {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

constexpr int64_t kHour = 3600, kDay = 24 * kHour;
constexpr int64_t kNow = 1'700'000'000;
const base::WallTime kWallNow{seconds(kNow)};

TEST(HumanDuration, IsWhatGoUnitsSays) {
  const struct {
    int64_t seconds;
    std::string_view text;
  } kCases[] = {
      {-5, "Less than a second"}, {0, "Less than a second"}, {1, "1 second"},
      {59, "59 seconds"},         {60, "About a minute"},    {119, "About a minute"},
      {120, "2 minutes"},         {3599, "59 minutes"},      {3600, "About an hour"},
      {5399, "About an hour"},    {5400, "2 hours"},         {47 * kHour, "47 hours"},
      {48 * kHour, "2 days"},     {13 * kDay, "13 days"},    {14 * kDay, "2 weeks"},
      {59 * kDay, "8 weeks"},     {60 * kDay, "2 months"},   {729 * kDay, "24 months"},
      {730 * kDay, "2 years"},
  };
  for (const auto& c : kCases) EXPECT_EQ(HumanDuration(seconds(c.seconds)), c.text) << c.seconds;
}

// A stream with these tags, which moved so many seconds ago; -1: never.
v1::ImageStream StreamOf(const std::vector<std::pair<std::string, int64_t>>& tags) {
  v1::ImageStream stream;
  stream.mutable_metadata()->set_name("s");
  for (const auto& [name, ago] : tags) {
    v1::NamedTagEventList& tag = *stream.mutable_status()->add_tags();
    tag.set_tag(name);
    if (ago >= 0) tag.add_items()->mutable_created()->set_seconds(kNow - ago);
  }
  return stream;
}

TEST(CellsOfAStream, NameItsTagsTheNewestFirst) {
  v1::ImageStream stream = StreamOf({{"never", -1}, {"b", 100}, {"a", 100}, {"new", 7}});
  EXPECT_THAT(CellsOf(stream, kWallNow),
              ElementsAre(Cell("s"), Cell(""), Cell("new,a,b,never"), Cell("7 seconds ago")));
  stream.mutable_spec()->set_docker_image_repository("spec");
  EXPECT_EQ(CellsOf(stream, kWallNow)[1], Cell("spec"));
  stream.mutable_status()->set_docker_image_repository("status");
  EXPECT_EQ(CellsOf(stream, kWallNow)[1], Cell("spec"));
  stream.mutable_status()->set_public_docker_image_repository("public");
  EXPECT_EQ(CellsOf(stream, kWallNow)[1], Cell("public"));
  EXPECT_THAT(CellsOf(StreamOf({}), kWallNow),
              ElementsAre(Cell("s"), Cell(""), Cell(""), Cell("")));
}

TEST(CellsOfAStream, HaveAsManyTagsAsFit) {
  const std::string wide(30, 'w'), wider(60, 'x');
  const struct {
    std::vector<std::pair<std::string, int64_t>> tags;
    std::string text;
  } kCases[] = {
      {{{wide, 1}, {"12345678", 2}}, wide + ",12345678"},
      {{{wider, 1}, {"a", 2}}, wider + " + 1 more..."},
      {{{"a", 1}, {wider, 2}, {"b", 3}}, "a + 2 more..."},
      // A quarter more, rather than a quarter less.
      {{{"12345678901234567890", 1}, {std::string(25, 'y'), 2}},
       "12345678901234567890," + std::string(25, 'y')},
      {{{wide, 1}, {std::string(12, 'y'), 2}}, wide + " + 1 more..."},
  };
  for (const auto& c : kCases) EXPECT_EQ(CellsOf(StreamOf(c.tags), kWallNow)[2], Cell(c.text));
}

TEST(CellsOfATag, SayWhatItFollowsAndHowThatWent) {
  struct Case {
    std::string_view name;
    std::string from_kind, from_name, from_namespace;
    int64_t wanted, event;  // generations; -1: none
    std::string image;
    std::string failed;  // why the import did
    bool reference, scheduled;
    std::string spec, status;
  };
  const Case kCases[] = {
      {"pushed", "", "", "", -1, 3, "sha256:1", "", false, false, "Push", "image/sha256:1"},
      {"imported", "DockerImage", "r/a", "", 2, 2, "sha256:1", "", false, false, "Tag",
       "image/sha256:1"},
      {"referenced", "DockerImage", "r/a", "", 2, -1, "", "", true, false, "Ref", "r/a"},
      {"scheduled", "DockerImage", "r/a", "", 2, 2, "sha256:1", "", true, true, "Scheduled",
       "image/sha256:1"},
      {"being imported", "DockerImage", "r/a", "", 3, 2, "sha256:1", "", false, false, "Tag",
       "Importing"},
      {"pushed over", "DockerImage", "r/a", "", 2, 3, "sha256:1", "", false, false, "Push",
       "image/sha256:1"},
      {"failed", "DockerImage", "r/a", "", 2, -1, "", "NotFound", false, false, "Tag",
       "ImportFailed (NotFound)"},
      {"another stream's", "ImageStreamTag", "s:t", "", 2, -1, "", "", false, false, "Tag",
       "istag/s:t"},
      {"another namespace's", "ImageStreamTag", "s:t", "n", 2, -1, "", "", false, false, "Tag",
       "istag n/s:t"},
      {"tracking", "ImageStreamTag", "t", "", 2, 5, "sha256:1", "", false, false, "Track",
       "image/sha256:1"},
      {"by image", "ImageStreamImage", "s@sha256:2", "", 2, -1, "", "", false, false, "Tag",
       "image/sha256:2"},
      {"by no image", "ImageStreamImage", "s", "", 2, -1, "", "", false, false, "Tag",
       "InvalidRefName"},
      {"by another kind", "Pod", "s", "", 2, -1, "", "", false, false, "Tag", "InvalidRefKind"},
  };
  for (const Case& c : kCases) {
    v1::ImageTag tag;
    tag.mutable_metadata()->set_name("s:t");
    if (c.wanted >= 0) {
      v1::TagReference& spec = *tag.mutable_spec();
      spec.set_generation(c.wanted);
      spec.set_reference(c.reference);
      spec.mutable_import_policy()->set_scheduled(c.scheduled);
      spec.mutable_from()->set_kind(c.from_kind);
      spec.mutable_from()->set_name(c.from_name);
      spec.mutable_from()->set_namespace_(c.from_namespace);
    }
    Cell history;
    if (c.event >= 0) {
      v1::TagEvent& event = *tag.mutable_status()->add_items();
      event.set_generation(c.event);
      event.set_image(c.image);
      history = int64_t{1};
    }
    if (!c.failed.empty()) {
      v1::TagEventCondition& condition = *tag.mutable_status()->add_conditions();
      condition.set_type("ImportSuccess");
      condition.set_status("False");
      condition.set_reason(c.failed);
    }
    EXPECT_THAT(CellsOf(tag, kWallNow),
                ElementsAre(Cell("s:t"), Cell(c.spec), Cell(c.status), history, Cell("")))
        << c.name;
  }
}

}  // namespace
}  // namespace strata::image
