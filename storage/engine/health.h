// Why writes are refused, where it isn't their own fault.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>

#include "lib/base/status.h"
#include "lib/obs/log.h"

namespace strata::engine {

// Thread-safe. The writing thread finds out; others ask.
class Health {
 public:
  explicit Health(const obs::Logger& log) : log_(log) {}

  // Nothing can be written any more until a restart. Costs no lock: every commit asks.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // Why; OK as long as it can.
  base::Status failure() const ABSL_LOCKS_EXCLUDED(mu_);
  // Why the last write that needed room found none, and where; OK once one has found it.
  base::Status room() const ABSL_LOCKS_EXCLUDED(mu_);

  void Fail(base::Status why) ABSL_LOCKS_EXCLUDED(mu_);
  // After a failed fsync nobody knows what the disk holds, and a second one may lie
  // (https://wiki.postgresql.org/wiki/Fsync_Errors): no more writes until a restart has read the
  // file anew. Returns what they are refused with.
  base::Status DiskFailed(const base::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  // Logged once each way: whoever writes hears of it each time. The writing thread's.
  void NoteRoom(base::Status room) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const obs::Logger& log_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> lacks_room_ = false;
  mutable absl::Mutex mu_;
  base::Status failure_ ABSL_GUARDED_BY(mu_);
  base::Status room_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::engine
