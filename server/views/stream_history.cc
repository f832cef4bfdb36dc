#include "server/views/stream_history.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/views/key_range.h"
#include "server/views/reach.h"
#include "server/views/stream_view.h"

namespace strata::views {
namespace {

using layers::NameId;
using layers::Reading;
using layers::StreamPointer;
using records::Change;

constexpr auto kKind = records::Kind::kImageStream;

records::Id IdOf(std::string_view key) {
  const size_t slash = key.find('/');
  return {kKind, std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

// Of a step, by their keys.
using Affected = std::map<std::string_view, layers::StreamStep>;

// Those that reach an image which the step changed; what reaches it is as of `reading`.
base::Status AddReaching(const Reading& reading, const layers::Step& step, Affected& affected) {
  std::vector<NameId> images;
  for (const layers::ImageStep& image : step.images) {
    if (image.may_be_named) images.push_back(image.name);
  }
  if (images.empty()) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(const Reach reach, Reach::Of(reading, images));
  for (const StreamPointer& stream : reach.streams()) {
    const std::string_view key = stream->key();
    if (affected.contains(key)) continue;
    affected[key] = {step.before.streams.Find(key), step.now.streams.Find(key)};
  }
  return base::OkStatus();
}

}  // namespace

Change StreamHistory::ViewOf(const Reading& reading, const StreamPointer& stream) const {
  auto view = views::ViewOf(reading, stream);
  if (!view.ok()) {
    return {IdOf(stream->key()),
            Change::State::kUnreadable,
            stream->revision(),
            {},
            std::string(base::Message(view.status()))};
  }
  return {IdOf(stream->key()),
          Change::State::kPresent,
          view->revision,
          view->object.SerializeAsString(),
          {}};
}

base::StatusOr<replica::Page> StreamHistory::Read(const replica::Selection& selection) const {
  const auto snapshot = timeline_.At(selection.revision);
  if (!snapshot) return RevisionForgotten();
  replica::Page page;
  const KeyRange range(keys_, kKind, selection);
  if (range.is_empty() || !snapshot->orders) return page;
  const Reading reading = index_.Of(*snapshot);
  const auto& order = snapshot->orders->streams;
  size_t bytes = 0;
  order.VisitFrom(range.begin(), [&](const StreamPointer& stream) {
    if (range.IsBehind(stream->key())) return false;
    if (range.IsFull(page.records.size(), bytes)) {
      page.next = keys_.KeyOf(IdOf(stream->key()));
      return false;
    }
    page.records.push_back(ViewOf(reading, stream));
    bytes += page.records.back().object.size();
    return true;
  });
  if (selection.count) page.count = range.CountIn(order);
  return page;
}

base::StatusOr<std::optional<Change>> StreamHistory::Find(const records::Id& id,
                                                          base::Revision revision,
                                                          base::MonotonicTime) const {
  const auto snapshot = timeline_.At(revision);
  if (!snapshot) return RevisionForgotten();
  if (id.kind != kKind) return std::nullopt;
  const StreamPointer stream = snapshot->streams.Find(id.ns + "/" + id.name);
  if (stream == nullptr) return std::nullopt;
  return std::optional(ViewOf(index_.Of(*snapshot), stream));
}

base::StatusOr<base::Revision> StreamHistory::Changes(
    const replica::Interval& interval, absl::FunctionRef<void(replica::Event event)> visit) const {
  return timeline_.VisitSteps(
      interval, [&](const layers::Step& step) { return VisitStep(step, interval, visit); });
}

base::StatusOr<size_t> StreamHistory::VisitStep(
    const layers::Step& step, const replica::Interval& interval,
    absl::FunctionRef<void(replica::Event event)> visit) const {
  const Reading before = index_.Of(step.before, interval.stop);
  const Reading now = index_.Of(step.now, interval.stop);
  Affected affected;
  for (const layers::StreamStep& stream : step.streams) {
    const auto& known = stream.now == nullptr ? stream.before : stream.now;
    affected[known->key()] = stream;
  }
  // What leads to an image changes only with a list or a stream, which are changes themselves.
  STRATA_RETURN_IF_ERROR(AddReaching(now, step, affected));
  if (step.images.size() + step.streams.size() > 1)
    STRATA_RETURN_IF_ERROR(AddReaching(before, step, affected));
  size_t bytes = Timeline::kStepBytes;
  for (const auto& [key, stream] : affected) {
    bytes += key.size();
    records::Id id = IdOf(key);
    if (!interval.Wants(step.revision, id)) continue;
    replica::Event event{.now = {std::move(id), Change::State::kDeleted, step.revision, {}, {}},
                         .before = std::nullopt};
    if (stream.now != nullptr) event.now = ViewOf(now, stream.now);
    event.now.revision = step.revision;
    if (stream.before != nullptr) event.before = ViewOf(before, stream.before);
    if (interval.stop.stop_requested()) return base::CancelledError("it is enough");
    bytes += event.now.object.size() + (event.before ? event.before->object.size() : 0);
    visit(std::move(event));
  }
  return bytes;
}

}  // namespace strata::views
