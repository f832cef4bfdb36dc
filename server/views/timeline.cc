#include "server/views/timeline.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace strata::views {
namespace {

// Of the tries' nodes that a change makes anew, and of the entry that it replaces.
constexpr size_t kNodeBytes = 2'500;
// Relations that are remembered: as many lists and watches may be at revisions of their own.
constexpr size_t kMostRelations = 16;

size_t BytesOf(const layers::ImageStep& image) {
  if (image.before == nullptr) return kNodeBytes;
  return kNodeBytes + 64 +
         sizeof(layers::NameId) *
             (3 * image.before->layer_names().size() + image.before->manifests().size());
}

size_t BytesOf(const layers::StreamStep& stream) {
  if (stream.before == nullptr) return kNodeBytes;
  const layers::StreamEntry& before = *stream.before;
  return kNodeBytes + 48 + before.key().size() + before.metadata().size() + before.tags().size() +
         before.images().size_bytes();
}

size_t BytesOf(const layers::Step& step) {
  size_t bytes = sizeof step;
  for (const layers::ImageStep& image : step.images) bytes += BytesOf(image);
  for (const layers::StreamStep& stream : step.streams) bytes += BytesOf(stream);
  return bytes;
}

layers::Snapshot AsOf(layers::Snapshot snapshot, base::Revision revision) {
  snapshot.revision = revision;
  return snapshot;
}

}  // namespace

void Timeline::Listed(const layers::Snapshot& now) {
  std::deque<Kept> forgotten;
  std::vector<Remembered> relations;
  layers::Snapshot before[2];
  base::MutexLock lock(&mu_);
  forgotten.swap(kept_);
  relations.swap(relations_);
  before[0] = std::exchange(oldest_, now);
  before[1] = std::exchange(newest_, now);
  bytes_ = 0;
}

void Timeline::Changed(layers::Step step) {
  const size_t bytes = BytesOf(step);
  auto kept = std::make_shared<const layers::Step>(std::move(step));
  Forgotten forgotten;
  base::MutexLock lock(&mu_);
  newest_ = kept->now;
  const size_t most = options_.max_bytes.Of(bytes_);
  bytes_ += bytes;
  kept_.push_back({std::move(kept), bytes, clock_.Now()});
  forgotten = Forget(most);
}

void Timeline::Advanced(base::Revision revision) {
  Forgotten forgotten;
  base::MutexLock lock(&mu_);
  newest_.revision = revision;
  forgotten = Forget(options_.max_bytes.Of(bytes_));
}

Timeline::Forgotten Timeline::Forget(size_t most_bytes) {
  Forgotten forgotten;
  const auto too_old = clock_.Now() - options_.max_age;
  while (!kept_.empty() && (bytes_ > most_bytes || kept_.front().since < too_old)) {
    oldest_ = kept_.front().step->now;
    bytes_ -= kept_.front().bytes;
    forgotten.steps.push_back(std::move(kept_.front().step));
    kept_.pop_front();
  }
  const auto known = std::partition_point(
      relations_.begin(), relations_.end(),
      [oldest = oldest_.revision](const Remembered& one) { return one.revision < oldest; });
  std::move(relations_.begin(), known, std::back_inserter(forgotten.relations));
  relations_.erase(relations_.begin(), known);
  return forgotten;
}

base::Revision Timeline::oldest() const {
  base::MutexLock lock(&mu_);
  return oldest_.revision;
}

uint64_t Timeline::epoch() const {
  base::MutexLock lock(&mu_);
  return newest_.list;
}

std::optional<layers::Snapshot> Timeline::At(base::Revision revision) const {
  base::MutexLock lock(&mu_);
  if (revision < oldest_.revision) return std::nullopt;
  if (revision >= newest_.revision) return newest_;
  const auto after = std::upper_bound(
      kept_.begin(), kept_.end(), revision,
      [](base::Revision at, const Kept& kept) { return at < kept.step->revision; });
  return AsOf(after == kept_.begin() ? oldest_ : std::prev(after)->step->now, revision);
}

base::StatusOr<base::Revision> Timeline::VisitSteps(
    const replica::Interval& interval,
    absl::FunctionRef<base::StatusOr<size_t>(const layers::Step&)> visit) const {
  std::vector<StepPointer> steps;
  {
    base::MutexLock lock(&mu_);
    if (interval.from <= oldest_.revision) return RevisionForgotten();
    steps = StepsBetween(interval.from, interval.to);
  }
  size_t bytes = 0;
  for (const StepPointer& step : steps) {
    if (bytes >= interval.max_bytes) return step->revision;
    STRATA_ASSIGN_OR_RETURN(const size_t more, visit(*step));
    bytes += more;
  }
  return interval.to + 1;
}

std::vector<Timeline::StepPointer> Timeline::StepsBetween(base::Revision from,
                                                          base::Revision to) const {
  std::vector<StepPointer> steps;
  auto kept = std::lower_bound(
      kept_.begin(), kept_.end(), from,
      [](const Kept& one, base::Revision first) { return one.step->revision < first; });
  for (; kept != kept_.end() && kept->step->revision <= to; ++kept) steps.push_back(kept->step);
  return steps;
}

std::optional<Timeline::Nearest> Timeline::NearestTo(const layers::Snapshot& snapshot) {
  base::MutexLock lock(&mu_);
  if (snapshot.list != newest_.list) return std::nullopt;
  const auto behind =
      std::upper_bound(relations_.begin(), relations_.end(), snapshot.revision,
                       [](base::Revision at, const Remembered& one) { return at < one.revision; });
  if (behind == relations_.begin()) return std::nullopt;
  Remembered& nearest = *std::prev(behind);
  nearest.asked = ++asked_;
  return Nearest{nearest.relations, StepsBetween(nearest.revision + 1, snapshot.revision)};
}

void Timeline::Remember(const layers::Snapshot& snapshot, Relations relations) {
  std::vector<Remembered> forgotten;
  base::MutexLock lock(&mu_);
  if (snapshot.list != newest_.list || snapshot.revision < oldest_.revision) return;
  const auto place =
      std::lower_bound(relations_.begin(), relations_.end(), snapshot.revision,
                       [](const Remembered& one, base::Revision at) { return one.revision < at; });
  if (place != relations_.end() && place->revision == snapshot.revision) return;
  relations_.insert(place, {snapshot.revision, std::move(relations), ++asked_});
  if (relations_.size() <= kMostRelations) return;
  // What is known of the earliest, all others can be made of.
  const auto last =
      std::min_element(relations_.begin() + 1, relations_.end(),
                       [](const Remembered& a, const Remembered& b) { return a.asked < b.asked; });
  forgotten.push_back(std::move(*last));
  relations_.erase(last);
}

Timeline::Stats Timeline::stats() const {
  base::MutexLock lock(&mu_);
  return {kept_.size(), bytes_, relations_.size()};
}

}  // namespace strata::views
