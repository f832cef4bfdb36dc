#include "server/views/timeline.h"

#include <algorithm>
#include <utility>

namespace strata::views {
namespace {

// Of the tries' nodes that a change makes anew, and of the entry that it replaces.
constexpr size_t kNodeBytes = 2'500;

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
  layers::Snapshot before[2];
  base::MutexLock lock(&mu_);
  forgotten.swap(kept_);
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
  bytes_ += bytes;
  kept_.push_back({std::move(kept), bytes, clock_.Now()});
  forgotten = Forget();
}

void Timeline::Advanced(base::Revision revision) {
  Forgotten forgotten;
  base::MutexLock lock(&mu_);
  newest_.revision = revision;
  forgotten = Forget();
}

Timeline::Forgotten Timeline::Forget() {
  Forgotten forgotten;
  const auto too_old = clock_.Now() - options_.max_age;
  while (!kept_.empty() && (bytes_ > options_.max_bytes || kept_.front().since < too_old)) {
    oldest_ = kept_.front().step->now;
    bytes_ -= kept_.front().bytes;
    forgotten.push_back(std::move(kept_.front().step));
    kept_.pop_front();
  }
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

std::optional<std::vector<Timeline::StepPointer>> Timeline::Steps(base::Revision from,
                                                                  base::Revision to) const {
  base::MutexLock lock(&mu_);
  if (from <= oldest_.revision) return std::nullopt;
  std::vector<StepPointer> steps;
  auto kept = std::lower_bound(
      kept_.begin(), kept_.end(), from,
      [](const Kept& one, base::Revision first) { return one.step->revision < first; });
  for (; kept != kept_.end() && kept->step->revision <= to; ++kept) steps.push_back(kept->step);
  return steps;
}

Timeline::Stats Timeline::stats() const {
  base::MutexLock lock(&mu_);
  return {kept_.size(), bytes_};
}

}  // namespace strata::views
