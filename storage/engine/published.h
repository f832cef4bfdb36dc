// What others hear of commits.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <vector>

#include "storage/engine/store_metrics.h"
#include "storage/engine/types.h"

namespace strata::engine {

// Hears of commits, on the writing thread: must return at once, and call no Store method that
// writes.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  virtual void OnCommit(Revision revision) = 0;
};

// Thread-safe.
class Published {
 public:
  explicit Published(const StoreMetrics& metrics) : metrics_(metrics) {}

  // Of the last commit. Never ahead of what a read sees.
  Revision revision() const ABSL_LOCKS_EXCLUDED(mu_);
  Revision compacted() const ABSL_LOCKS_EXCLUDED(mu_);

  // Called by who has committed, when reads see it.
  void Publish(Revision revision, Revision compacted) ABSL_LOCKS_EXCLUDED(mu_, listeners_mu_);

  // After RemoveListener has returned the listener isn't called any more.
  void AddListener(CommitListener& listener) ABSL_LOCKS_EXCLUDED(listeners_mu_);
  void RemoveListener(CommitListener& listener) ABSL_LOCKS_EXCLUDED(listeners_mu_);

 private:
  const StoreMetrics& metrics_;

  mutable absl::Mutex mu_;
  Revision revision_ ABSL_GUARDED_BY(mu_) = 0;
  Revision compacted_ ABSL_GUARDED_BY(mu_) = 0;

  absl::Mutex listeners_mu_;
  std::vector<CommitListener*> listeners_ ABSL_GUARDED_BY(listeners_mu_);
};

}  // namespace strata::engine
