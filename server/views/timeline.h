// Everything as it was at each of the last revisions, and what each of them changed: what lists of
// one revision and watches are made of.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/base/mutex.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "server/layers/changes.h"
#include "server/views/relations.h"
#include "storage/replica/history.h"

namespace strata::views {

// The answer to who asks for a revision that is known no more.
inline base::Status RevisionForgotten() {
  return base::OutOfRangeError("the revision is forgotten");
}

// Written by the index's writer; all else from any thread.
class Timeline final : public layers::Observer {
 public:
  using StepPointer = std::shared_ptr<const layers::Step>;
  // What a step costs who reads changes, as bytes of records: what leads to an image is looked for
  // among all lists and streams, also for who wants none of what is found, and others wait.
  static constexpr size_t kStepBytes = 1 << 10;
  struct Options {
    // Of what the steps alone keep, about.
    base::Limit max_bytes = size_t{64} << 20;
    std::chrono::milliseconds max_age{300'000};
  };

  Timeline(const Options& options, const base::Clock& clock) : options_(options), clock_(clock) {}

  void Listed(const layers::Snapshot& now) override ABSL_LOCKS_EXCLUDED(mu_);
  void Changed(layers::Step step) override ABSL_LOCKS_EXCLUDED(mu_);
  void Advanced(base::Revision revision) override ABSL_LOCKS_EXCLUDED(mu_);

  // The oldest revision whose state is known, and all that followed it.
  base::Revision oldest() const ABSL_LOCKS_EXCLUDED(mu_);
  // Which list it began with: none goes on where another one ended.
  uint64_t epoch() const ABSL_LOCKS_EXCLUDED(mu_);

  // Nothing if it is older. A newer one than any that was told of is the newest.
  std::optional<layers::Snapshot> At(base::Revision revision) const ABSL_LOCKS_EXCLUDED(mu_);

  // Those of the interval, in order, until what `visit` says that they took comes to its bytes.
  // Returns the revision to go on from, or what a visit fails with. RevisionForgotten if some are:
  // the first isn't greater than oldest().
  base::StatusOr<base::Revision> VisitSteps(
      const replica::Interval& interval,
      absl::FunctionRef<base::StatusOr<size_t>(const layers::Step&)> visit) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // What a revision's relations can be made of: those of an earlier one, and the steps that follow
  // it. They are remembered for as long as the revision is known: of the earliest of them, and of
  // the last that were asked for.
  struct Nearest {
    Relations relations;
    std::vector<StepPointer> steps;
  };
  std::optional<Nearest> NearestTo(const layers::Snapshot& snapshot) ABSL_LOCKS_EXCLUDED(mu_);
  void Remember(const layers::Snapshot& snapshot, Relations relations) ABSL_LOCKS_EXCLUDED(mu_);

  struct Stats {
    size_t steps = 0, bytes = 0, relations = 0;
  };
  Stats stats() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Kept {
    StepPointer step;
    size_t bytes;
    base::MonotonicTime since;
  };
  struct Remembered {
    base::Revision revision;
    Relations relations;
    uint64_t asked;  // when it was last, in numbers of questions
  };
  struct Forgotten {
    std::vector<StepPointer> steps;
    std::vector<Remembered> relations;
  };
  // What it returns is freed outside of the lock.
  Forgotten Forget(size_t most_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<StepPointer> StepsBetween(base::Revision from, base::Revision to) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  const base::Clock& clock_;

  mutable base::Mutex mu_;
  std::deque<Kept> kept_ ABSL_GUARDED_BY(mu_);
  // As it was before the first step, and as it is.
  layers::Snapshot oldest_ ABSL_GUARDED_BY(mu_), newest_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Remembered> relations_ ABSL_GUARDED_BY(mu_);  // by their revisions
  uint64_t asked_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace strata::views
