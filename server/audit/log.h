// The audit log: a file that is turned over when it grows too large (--audit-log-path and its
// companions, with the names of github.com/natefinch/lumberjack, which kube-apiserver uses).
#pragma once

#include <absl/base/thread_annotations.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "obs/log.h"
#include "obs/metrics.h"
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
  };
  // Opens the file now. `policy` decides.
  static base::StatusOr<std::unique_ptr<Log>> Open(const Options& options, Policy policy,
                                                   const base::Clock& clock, const obs::Logger& log,
                                                   obs::Metrics& metrics);
  // Writes what is queued.
  ~Log();

  const Policy& policy() const { return policy_; }
  void Write(const Event& event) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Log(const Options& options, Policy policy, const base::Clock& clock, const obs::Logger& log,
      obs::Metrics& metrics);
  base::Status OpenFile();
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void WriteAll(std::string_view lines);
  // Whole lines from the start of `lines`: as many as the file has room for and one write should
  // hold. None: the file has to be turned over first.
  std::string_view Fitting(std::string_view lines) const;
  void TurnOver();
  void RemoveOld() const;

  const Options options_;
  const Policy policy_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  obs::Counter events_, dropped_;

  // The writer's.
  int file_ = -1;
  int64_t size_ = 0;
  bool failing_ = false;

  base::Mutex mu_;
  base::CondVar enough_;  // is queued for a write of its own, or the end has come
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::string queue_ ABSL_GUARDED_BY(mu_);  // lines, one after the other
  size_t queued_ ABSL_GUARDED_BY(mu_) = 0;  // how many
  std::thread thread_;
};

}  // namespace strata::audit
