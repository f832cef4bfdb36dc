// Whether what requests need of the backend can be had: the watch, and reads. Each comes over a
// connection of its own, and either may fail alone.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/log.h"

namespace strata::reflector {

// Thread-safe.
class Health {
 public:
  enum class Part { kWatch, kReads };

  explicit Health(const obs::Logger& log) : log_(log) {}

  // How `part` is now. A Warning for each reason that comes up, once until both are well again;
  // Info then.
  void Set(Part part, base::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // OK if both parts are; otherwise why one isn't.
  base::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const obs::Logger& log_;
  mutable absl::Mutex mu_;
  base::Status watch_ ABSL_GUARDED_BY(mu_) = base::UnavailableError("not connected yet");
  base::Status reads_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> told_ ABSL_GUARDED_BY(mu_);  // reasons, since both were well
};

}  // namespace strata::reflector
