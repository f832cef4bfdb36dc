#include "storage/serve/auto_compaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "lib/base/duration.h"

namespace strata::serve {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHour{3'600'000};
constexpr milliseconds kRevisionInterval{5 * 60'000};
// How many looks there are in a period, or in an hour if that is shorter.
constexpr int kLooks = 10;

milliseconds IntervalOf(const CompactionPolicy& policy) {
  if (policy.revisions > 0) return kRevisionInterval;
  return std::max(std::min(policy.period, kHour) / kLooks, milliseconds(1));
}

std::optional<int64_t> WholeNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

}  // namespace

base::StatusOr<CompactionPolicy> CompactionPolicy::Parse(std::string_view mode,
                                                         std::string_view retention) {
  const auto number = WholeNumber(retention);
  if (mode == "revision") {
    if (!number)
      return base::InvalidArgumentError(fmt::format("{} is no number of revisions", retention));
    return CompactionPolicy{.revisions = *number};
  }
  // A day of history would take a year to count in hours beyond this.
  constexpr int64_t kMostHours = 24 * 366 * 10;
  if (number && *number <= kMostHours) return CompactionPolicy{.period = kHour * *number};
  const auto period = base::ParseDuration(retention);
  if (number || !period.ok() || period->count() < 0 || *period > kHour * kMostHours) {
    return base::InvalidArgumentError(
        fmt::format("{} is no time: a number of hours, or such as 30m or 1h30m", retention));
  }
  return CompactionPolicy{.period = std::chrono::ceil<milliseconds>(*period)};
}

CompactionPlan::CompactionPlan(const CompactionPolicy& policy, base::MonotonicTime now)
    : policy_(policy),
      interval_(IntervalOf(policy)),
      kept_(policy.revisions > 0 ? 1 : static_cast<size_t>(policy.period / interval_) + 1),
      due_(now + (policy.revisions > 0 ? interval_ : policy.period)) {}

std::optional<base::Revision> CompactionPlan::Tick(base::MonotonicTime now,
                                                   base::Revision current) {
  seen_.push_back(current);
  if (seen_.size() > kept_) seen_.pop_front();
  if (now < due_) return std::nullopt;
  const base::Revision to = policy_.revisions > 0 ? current - policy_.revisions : seen_.front();
  if (to <= std::max(last_, base::Revision{1})) return std::nullopt;
  return to;
}

void CompactionPlan::Done(base::MonotonicTime now, base::Revision to) {
  due_ = now + (policy_.revisions > 0 ? interval_ : std::min(policy_.period, kHour));
  last_ = to;
}

void CompactIfDue(CompactionPlan& plan, engine::Store& store, base::MonotonicTime now,
                  const obs::Logger& log) {
  const auto revision = plan.Tick(now, store.revision());
  if (!revision) return;
  const auto done = store.Compact({.revision = *revision});
  if (done.ok()) log.Info("Compacted by itself", {{"revision", *revision}});
  if (done.ok() || absl::IsOutOfRange(done.status())) {  // somebody else has compacted further
    plan.Done(now, *revision);
  } else {
    log.Warning("Could not compact", {{"revision", *revision}, {"err", done.status()}});
  }
}

}  // namespace strata::serve
