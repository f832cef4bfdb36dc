// What the writing thread does between batches: giving back the space of what a compaction forgot,
// and writing the file anew; and the writes that wait for it.
#pragma once

#include <absl/time/time.h>

#include <memory>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "storage/engine/options.h"
#include "storage/engine/state.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/write.h"

namespace strata::engine {

// Belongs to the writing thread.
class Maintenance {
 public:
  Maintenance(tree::Environment& env, State& state, const Options& options,
              const base::Clock& clock, const obs::Logger& log)
      : env_(env), state_(state), options_(options), clock_(clock), log_(log) {}

  // There is something to scrub.
  void BeginScrub() {
    scrubbing_ = true;
    scrubs_from_ = {};
  }
  // How soon Step is to be called, if nobody writes.
  absl::Duration Patience() const;

  // Keeps those writes of a batch that aren't to be answered before their work is done.
  void TakeWaiting(Batch& batch);

  // A small part of what there is to do: writes wait for it.
  void Step();

  // Answers those that wait for what isn't done any more, here: the next start goes on with it.
  void End();

 private:
  void Scrub();
  void EndScrub(const base::Status& how);
  void PauseScrub(const base::Status& why);
  void Defragment();

  tree::Environment& env_;
  State& state_;
  const Options& options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  bool scrubbing_ = false;
  base::MonotonicTime scrubs_from_{};  // while it is scrubbing: after a pause
  Batch awaiting_scrub_;
  Batch awaiting_defragmentation_;
};

// Clears what a commit left that found the disk full. `health` hears of it where the store can't be
// used any more.
base::Status ReopenIfBroken(tree::Environment& env, Health& health);

// Makes room in the map between transactions; false, and a line in the log, if there is no more.
// `health` hears of it where the store can't be used any more.
bool GrowMap(tree::Environment& env, Health& health, const obs::Logger& log);

}  // namespace strata::engine
