// The writes that wait for the writing thread: bounded in number and in bytes.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>

#include "storage/engine/options.h"
#include "storage/engine/store_metrics.h"
#include "storage/engine/write.h"

namespace strata::engine {

// Any thread adds, the writing thread takes.
class WriteQueue {
 public:
  WriteQueue(const Options& options, const StoreMetrics& metrics)
      : options_(options), metrics_(metrics) {}

  // Answers it at once if it can't wait: there are too many, or the queue has ended.
  void Add(std::unique_ptr<Write> write) ABSL_LOCKS_EXCLUDED(mu_);

  // The first ones, as many as may share a commit; none if none came within `patience`. Nothing
  // once the queue has ended.
  std::optional<Batch> Take(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);

  // From now on nothing is added or taken but the rest.
  void End() ABSL_LOCKS_EXCLUDED(mu_);
  Batch TakeRest() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const Options& options_;
  const StoreMetrics& metrics_;

  absl::Mutex mu_;
  std::deque<std::unique_ptr<Write>> waiting_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace strata::engine
