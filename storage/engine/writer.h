// The thread that writes.
//
// It takes all writes that wait, does them in order in one transaction, publishes what has been
// committed, and answers them. Between batches it ends leases whose time is over and does the
// maintenance.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <thread>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "storage/engine/commit.h"
#include "storage/engine/maintenance.h"
#include "storage/engine/options.h"
#include "storage/engine/state.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/write.h"
#include "storage/engine/write_queue.h"

namespace strata::engine {

// Submit may be called by any thread; the rest is the writing thread's, or before it.
class Writer {
 public:
  Writer(tree::Environment& env, State& state, const Options& options, const base::Clock& clock,
         const obs::Logger& log)
      : env_(env),
        state_(state),
        options_(options),
        clock_(clock),
        log_(log),
        queue_(options, state.metrics),
        maintenance_(env, state, options, clock, log) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  // Writes that still wait are answered with Stopped.
  ~Writer();

  // Before Start: a compaction's clean-up wasn't finished.
  void BeginScrub() { maintenance_.BeginScrub(); }
  // Once, when the state is what the tables say.
  void Start();

  // It is answered by the writing thread, or at once on this one if it is refused.
  void Submit(std::unique_ptr<Write> write) { queue_.Add(std::move(write)); }

 private:
  void Run();
  // How long to wait for writes.
  absl::Duration Patience() const;
  void AddEndedLeases(Batch& batch);

  // Does the batch, and answers it but for what waits for maintenance.
  void Commit(Batch batch);
  void CommitEach(Batch batch);
  // OK: each write has its answer, and what they did is published. Else nothing was done, and why.
  base::Status Do(const Batch& batch);
  Outcome TryWithRoom(const Batch& batch);
  void Publish(const Batch& batch, const Outcome& outcome);
  // Take note of it, and say what writes are refused with.
  base::Status NoRoom(const char* where);
  base::Status DiskFull();

  tree::Environment& env_;
  State& state_;
  const Options& options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  WriteQueue queue_;
  Maintenance maintenance_;
  std::thread thread_;
};

}  // namespace strata::engine
