// The audit log: a file that is turned over when it grows too large (--audit-log-path and its
// companions, with the names of github.com/natefinch/lumberjack, which kube-apiserver uses).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/line_writer.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/audit/event.h"
#include "server/audit/policy.h"

namespace strata::audit {

// Thread-safe. Lines are written by a thread of its own; who logs never waits for the disk.
class Log {
 public:
  struct Options {
    std::string path;            // "-": standard output
    int max_size_mb = 100;       // of one file; 0: without end
    int max_backups = 0;         // old files kept; 0: all
    int max_age_days = 0;        // 0: for ever
    size_t max_queued = 10'000;  // lines; more are dropped, and counted
    size_t max_queued_bytes = 64 << 20;
  };
  // Opens the file now. `policy` decides.
  static base::StatusOr<std::unique_ptr<Log>> Open(const Options& options, Policy policy,
                                                   const base::Clock& clock, const obs::Logger& log,
                                                   obs::Metrics& metrics);
  // Writes what is queued, however long that takes (lib/obs/line_writer.h).
  ~Log();

  const Policy& policy() const { return policy_; }
  void Write(const Event& event);

 private:
  class File;

  Log(const Options& options, Policy policy, std::unique_ptr<File> file, obs::Metrics& metrics);

  const Policy policy_;
  const obs::Counter events_;
  const std::unique_ptr<File> file_;
  obs::LineWriter writer_;
};

}  // namespace strata::audit
