#include "server/views/image_history.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/layers/tags.h"
#include "server/views/key_range.h"

namespace strata::views {
namespace {

using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using records::Change;

constexpr auto kKind = records::Kind::kImage;

Change ChangeOf(v1alpha1::ImageLayers object, base::Revision revision) {
  object.mutable_metadata()->clear_resource_version();
  return {{kKind, "", object.metadata().name()},
          Change::State::kPresent,
          revision,
          object.SerializeAsString(),
          {}};
}

// What the tags of a stream say of each image: which of them, and whether now.
using Named = std::map<NameId, std::vector<std::pair<std::string, bool>>>;
Named NamedBy(const layers::StreamPointer& stream) {
  Named named;
  if (stream == nullptr) return named;
  uint32_t place = 0;
  for (const NameId image : stream->images()) {
    auto& tags = named[image];
    layers::ForEachTagOf(++place, stream->tags(), [&](std::string_view name, bool is_newest) {
      tags.emplace_back(name, is_newest);
    });
  }
  return named;
}

// The images whose objects a step may have changed.
class Affected {
 public:
  explicit Affected(const layers::Step& step) {
    for (const layers::StreamStep& stream : step.streams) {
      const Named before = NamedBy(stream.before), now = NamedBy(stream.now);
      AddDifferent(before, now);
      AddDifferent(now, before);
    }
    for (const layers::ImageStep& image : step.images) {
      names_.insert(image.name);
      for (const ImagePointer& one : {image.before, image.now}) {
        if (one != nullptr) names_.insert(one->manifests().begin(), one->manifests().end());
      }
    }
    AddBuiltOn(step);
  }

  const absl::flat_hash_set<NameId>& names() const { return names_; }

 private:
  void AddDifferent(const Named& one, const Named& other) {
    for (const auto& [name, tags] : one) {
      const auto found = other.find(name);
      if (found == other.end() || found->second != tags) names_.insert(name);
    }
  }

  void AddBuiltOn(const layers::Step& step) {
    std::vector<ImagePointer> bases;
    for (const layers::ImageStep& image : step.images) {
      if (!image.may_be_base) continue;
      if (image.before != nullptr) bases.push_back(image.before);
      if (image.now != nullptr) bases.push_back(image.now);
    }
    if (bases.empty()) return;
    step.now.images.ForEach([&](const ImagePointer& image) {
      for (const ImagePointer& base : bases) {
        if (IsBase(*base, *image)) names_.insert(image->name());
      }
    });
  }

  absl::flat_hash_set<NameId> names_;
};

// Nothing if there is no such image in the reading.
std::optional<Change> ChangeOf(const Reading& reading, const Relations& relations, NameId name) {
  const ImagePointer image = reading.records.images.Find(name);
  if (image == nullptr) return std::nullopt;
  return ChangeOf(relations.Show(reading, *image), reading.records.revision);
}

}  // namespace

base::StatusOr<Relations> ImageHistory::RelationsOf(const Reading& reading) const {
  auto nearest = timeline_.NearestTo(reading.records);
  if (!nearest) {
    looks_.fetch_add(1, std::memory_order_relaxed);
    STRATA_ASSIGN_OR_RETURN(Relations relations, Relations::Of(reading));
    timeline_.Remember(reading.records, relations);
    return relations;
  }
  for (const Timeline::StepPointer& step : nearest->steps) {
    if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
    nearest->relations.Follow(*step);
  }
  if (!nearest->steps.empty()) timeline_.Remember(reading.records, nearest->relations);
  return std::move(nearest->relations);
}

base::StatusOr<replica::Page> ImageHistory::Read(const replica::Selection& selection) const {
  const auto snapshot = timeline_.At(selection.revision);
  if (!snapshot) return RevisionForgotten();
  replica::Page page;
  const KeyRange range(keys_, kKind, selection);
  if (range.is_empty() || !snapshot->orders) return page;
  const Reading reading = index_.Of(*snapshot, selection.stop);
  STRATA_ASSIGN_OR_RETURN(const Relations relations, RelationsOf(reading));
  const auto& order = snapshot->orders->images;
  size_t bytes = 0;
  order.VisitFrom(range.begin(), [&](const ImagePointer& image) {
    const std::string name = reading.Text(image->name());
    if (range.IsBehind(name)) return false;
    if (range.IsFull(page.records.size(), bytes)) {
      page.next = keys_.KeyOf({kKind, "", name});
      return false;
    }
    page.records.push_back(ChangeOf(relations.Show(reading, *image), selection.revision));
    bytes += page.records.back().object.size();
    return true;
  });
  if (selection.count) page.count = range.CountIn(order);
  return page;
}

base::StatusOr<std::optional<Change>> ImageHistory::Find(const records::Id& id,
                                                         base::Revision revision,
                                                         base::MonotonicTime) const {
  const auto snapshot = timeline_.At(revision);
  if (!snapshot) return RevisionForgotten();
  const Reading reading = index_.Of(*snapshot);
  const ImagePointer image =
      id.kind == kKind ? snapshot->images.Find(reading.names.Find(id.name)) : nullptr;
  if (image == nullptr) return std::optional<Change>();
  STRATA_ASSIGN_OR_RETURN(const Relations relations, RelationsOf(reading));
  return std::optional(ChangeOf(relations.Show(reading, *image), revision));
}

base::StatusOr<base::Revision> ImageHistory::Changes(
    const replica::Interval& interval, absl::FunctionRef<void(replica::Event event)> visit) const {
  return timeline_.VisitSteps(
      interval, [&](const layers::Step& step) { return VisitStep(step, interval, visit); });
}

base::StatusOr<size_t> ImageHistory::VisitStep(
    const layers::Step& step, const replica::Interval& interval,
    absl::FunctionRef<void(replica::Event event)> visit) const {
  const Affected affected(step);
  if (affected.names().empty()) return 0;
  const Reading before = index_.Of(step.before, interval.stop);
  const Reading now = index_.Of(step.now, interval.stop);
  STRATA_ASSIGN_OR_RETURN(const Relations relations_before, RelationsOf(before));
  STRATA_ASSIGN_OR_RETURN(const Relations relations_now, RelationsOf(now));
  std::vector<std::pair<std::string, NameId>> images;
  for (const NameId name : affected.names()) images.emplace_back(now.Text(name), name);
  std::sort(images.begin(), images.end());
  size_t bytes = Timeline::kStepBytes;
  for (const auto& [text, name] : images) {
    if (interval.stop.stop_requested()) return base::CancelledError("it is enough");
    bytes += text.size();
    records::Id id{kKind, "", text};
    if (!interval.Wants(step.revision, id)) continue;
    replica::Event event{.now = {std::move(id), Change::State::kDeleted, step.revision, {}, {}},
                         .before = ChangeOf(before, relations_before, name)};
    if (auto change = ChangeOf(now, relations_now, name)) event.now = *std::move(change);
    // Nothing before and nothing now, as of what is named alone, is the same too.
    if ((event.before ? event.before->object : "") == event.now.object) continue;
    bytes += event.now.object.size() + (event.before ? event.before->object.size() : 0);
    visit(std::move(event));
  }
  return bytes;
}

}  // namespace strata::views
