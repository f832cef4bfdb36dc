#include "lib/image/cells.h"

#include <absl/strings/str_join.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lib/codec/plan.h"
#include "lib/image/tags.h"

namespace strata::image {
namespace {

using std::chrono::seconds;

using ::k8s::io::apimachinery::pkg::apis::meta::v1::Time;

constexpr int kTagsWidth = 40;

// Go's zero time is the first second of the year 1.
constexpr int64_t kZeroTime = -62'135'596'800;

std::string Ago(int64_t then, base::WallTime now) {
  const auto since = std::chrono::floor<seconds>(now.time_since_epoch());
  return HumanDuration(since - seconds(then)) + " ago";
}

std::string Ago(const Time& then, base::WallTime now) {
  return Ago(codec::IsZeroTime(then) ? kZeroTime : then.seconds(), now);
}

// The newest first (pkg/image/apis/image/sort.go): by when they last moved, then by name; those
// that never had an image come last.
std::vector<std::string_view> TagsByTime(const v1::ImageStreamStatus& status) {
  std::vector<const v1::NamedTagEventList*> tags;
  for (const v1::NamedTagEventList& tag : status.tags()) tags.push_back(&tag);
  const auto moved = [](const v1::NamedTagEventList* tag) {
    return tag->items().empty() ? INT64_MIN : tag->items(0).created().seconds();
  };
  std::stable_sort(tags.begin(), tags.end(), [&](const auto* a, const auto* b) {
    return moved(a) != moved(b) ? moved(a) > moved(b) : a->tag() < b->tag();
  });
  std::vector<std::string_view> names;
  for (const v1::NamedTagEventList* tag : tags) names.push_back(tag->tag());
  return names;
}

// As many as fit, but at least one; a quarter of the width is given or taken for the sake of even
// edges.
std::string TagsUpToWidth(const v1::ImageStreamStatus& status) {
  std::vector<std::string_view> tags = TagsByTime(status);
  int remaining = kTagsWidth;
  for (size_t i = 0; i < tags.size(); ++i) {
    const int size = static_cast<int>(tags[i].size());
    remaining -= size + 1;
    if (remaining >= 0) continue;
    if (i > 0 && kTagsWidth / 4 < remaining + size && kTagsWidth / 4 >= -remaining) continue;
    tags.resize(std::max<size_t>(i, 1));
    break;
  }
  std::string text =
      absl::StrJoin(tags, ",", [](std::string* out, std::string_view tag) { out->append(tag); });
  const int hidden = status.tags_size() - static_cast<int>(tags.size());
  return hidden > 0 ? fmt::format("{} + {} more...", text, hidden) : text;
}

// What an image tag is, and where it comes from.
struct TagState {
  std::string spec, source, status;
};

void DescribeSpec(const v1::TagReference& spec, TagState& state) {
  if (!spec.has_from()) return;
  state.spec = spec.import_policy().scheduled() ? "Scheduled" : spec.reference() ? "Ref" : "Tag";
  const auto& from = spec.from();
  if (from.kind() == "DockerImage") {
    state.source = from.name();
  } else if (from.kind() == "ImageStreamImage") {
    if (const auto parts = SplitImageName(from.name())) {
      state.source = "image/" + parts->second;
    } else {
      state.status = "InvalidRefName";
    }
  } else if (from.kind() == "ImageStreamTag") {
    state.source = from.namespace_().empty()
                       ? "istag/" + from.name()
                       : fmt::format("istag {}/{}", from.namespace_(), from.name());
    // One of the same stream is followed.
    if (from.name().find(':') == std::string::npos) state.spec = "Track";
  } else {
    state.status = "InvalidRefKind";
  }
}

void DescribeEvent(const v1::TagEvent& event, int64_t wanted, TagState& state) {
  const bool comparable = wanted > 0 && event.generation() > 0;
  if (comparable && event.generation() < wanted) {
    state.status = "Importing";
  } else if (!event.image().empty()) {
    state.source = "image/" + event.image();
  } else if (!event.docker_image_reference().empty()) {
    state.source = event.docker_image_reference();
  }
  const bool came_alone = !state.source.empty() && state.spec.empty();
  const bool is_newer = state.spec != "Track" && comparable && event.generation() > wanted;
  if (came_alone || is_newer) state.spec = "Push";
}

}  // namespace

std::string HumanDuration(seconds duration) {
  constexpr int64_t kDay = 24, kYear = 365 * kDay;  // in hours
  const int64_t s = duration.count(), minutes = s / 60, hours = (s + 1800) / 3600;
  if (s < 1) return "Less than a second";
  if (s == 1) return "1 second";
  if (s < 60) return fmt::format("{} seconds", s);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 14 * kDay) return fmt::format("{} days", hours / kDay);
  if (hours < 60 * kDay) return fmt::format("{} weeks", hours / kDay / 7);
  if (hours < 2 * kYear) return fmt::format("{} months", hours / kDay / 30);
  return fmt::format("{} years", s / 3600 / kYear);
}

Cells CellsOf(const v1::Image& image, base::WallTime /*now*/) {
  return {image.metadata().name(), image.docker_image_reference()};
}

Cells CellsOf(const v1::ImageStream& stream, base::WallTime now) {
  int64_t newest = kZeroTime;
  for (const v1::NamedTagEventList& tag : stream.status().tags()) {
    if (!tag.items().empty() && !codec::IsZeroTime(tag.items(0).created()))
      newest = std::max(newest, tag.items(0).created().seconds());
  }
  const v1::ImageStreamStatus& status = stream.status();
  std::string repository = stream.spec().docker_image_repository();
  if (repository.empty()) repository = status.docker_image_repository();
  if (!status.public_docker_image_repository().empty())
    repository = status.public_docker_image_repository();
  return {stream.metadata().name(), repository, TagsUpToWidth(status),
          newest == kZeroTime ? std::string() : Ago(newest, now)};
}

Cells CellsOf(const v1::ImageStreamTag& tag, base::WallTime now) {
  return {tag.metadata().name(), tag.image().docker_image_reference(),
          Ago(tag.metadata().creation_timestamp(), now), tag.image().metadata().name()};
}

Cells CellsOf(const v1::ImageTag& tag, base::WallTime now) {
  TagState state;
  if (tag.has_spec()) DescribeSpec(tag.spec(), state);
  int64_t last = kZeroTime;
  if (!tag.status().items().empty()) {
    const v1::TagEvent& event = tag.status().items(0);
    if (!codec::IsZeroTime(event.created())) last = event.created().seconds();
    DescribeEvent(event, tag.spec().generation(), state);
  }
  for (const v1::TagEventCondition& condition : tag.status().conditions()) {
    if (condition.type() == "ImportSuccess" && condition.status() == "False")
      state.status = fmt::format("ImportFailed ({})", condition.reason());
    if (!codec::IsZeroTime(condition.last_transition_time()))
      last = std::max(last, condition.last_transition_time().seconds());
  }
  Cell history;
  if (!tag.status().items().empty()) history = int64_t{tag.status().items_size()};
  return {tag.metadata().name(), state.spec, state.status.empty() ? state.source : state.status,
          history, last == kZeroTime ? std::string() : Ago(last, now)};
}

Cells CellsOf(const v1::ImageStreamImage& image, base::WallTime now) {
  return {image.metadata().name(), Ago(image.metadata().creation_timestamp(), now),
          image.image().docker_image_reference(), image.image().metadata().name()};
}

}  // namespace strata::image
