// One list of the backend's records, and the history since.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <memory>
#include <vector>

#include "storage/engine/mirror.h"
#include "storage/records/keys.h"
#include "storage/reflector/events.h"
#include "storage/replica/cache_dir.h"
#include "storage/replica/reading.h"

namespace strata::replica {

// Written by the reflector's threads, read by any. Once a write has failed it is of no more use.
class Edition {
 public:
  static base::StatusOr<std::unique_ptr<Edition>> Make(CacheDir& dir, const records::Keys& keys);

  // A page of the list; several threads at a time. EndList tells of its error.
  void AddPage(const std::vector<records::Change>& page) ABSL_LOCKS_EXCLUDED(mu_);
  // All pages have come; they are of `revision`.
  base::Status EndList(base::Revision revision) ABSL_LOCKS_EXCLUDED(mu_);
  // Adds changes, and tells their bytes.
  base::StatusOr<size_t> Append(const std::vector<reflector::Batch>& batches)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The backend is known to be at `revision`, all changes up to it being here.
  void Reach(base::Revision revision) { newest_ = revision; }
  // Begins to forget what was before `revision`, or goes on with that in a small step. True if
  // there is nothing left of it.
  base::StatusOr<bool> Forget(base::Revision revision, size_t max_changes) ABSL_LOCKS_EXCLUDED(mu_);

  base::Revision oldest() const { return oldest_; }
  base::Revision newest() const { return newest_; }
  bool Has(base::Revision revision) const { return oldest_ <= revision && revision <= newest_; }
  // Not all records are here: there are keys that are too long (engine/layout.h).
  bool partial() const { return partial_; }

  // Whether nothing has become of what `before` holds: it is exactly what was listed here.
  base::StatusOr<bool> Continues(const Edition& before) const;
  // Records there are.
  int64_t records() const { return mirror_->live(); }
  base::StatusOr<engine::tree::Usage> Measure() const { return mirror_->Measure(); }

  const Reading& reading() const { return reading_; }
  // Who reads tells that it is damaged; then that is known to who writes.
  void NoteDamage() const { damaged_ = true; }
  bool damaged() const { return damaged_; }

 private:
  Edition(std::unique_ptr<engine::Mirror> mirror, const records::Keys& keys);
  // Returns their bytes.
  size_t AddTo(std::vector<engine::Mirror::Version>& versions,
               const std::vector<records::Change>& changes);

  const records::Keys& keys_;
  absl::Mutex mu_;  // held while the mirror is written to
  const std::unique_ptr<engine::Mirror> mirror_;
  const Reading reading_;
  // The newest is told after what it stands for can be read; the oldest before it can't.
  std::atomic<base::Revision> oldest_ = 0, newest_ = 0;
  std::atomic<bool> partial_ = false;
  mutable std::atomic<bool> damaged_ = false;
  base::Status failure_ ABSL_GUARDED_BY(mu_);      // the first of the list's
  std::atomic<base::Revision> newest_listed_ = 0;  // of all listed records
};

}  // namespace strata::replica
