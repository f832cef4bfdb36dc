// Large answers in the making. Whoever asks for what is being made waits for it together with who
// asked first, and what nobody waits for any more isn't made.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/obs/metrics.h"
#include "server/endpoints/call.h"
#include "server/endpoints/lane.h"
#include "server/layers/index.h"

namespace strata::endpoints {

// Thread-safe. Outlived by no task of its lane.
class Builds {
 public:
  using Result = base::StatusOr<std::shared_ptr<const layers::Encoded>>;
  // Answers one call, on a worker.
  using Answer = std::function<void(const std::shared_ptr<Call>& call, const Result& built,
                                    const layers::Form& form)>;

  Builds(layers::Index& index, Lane lane, Answer answer, obs::Metrics& metrics);

  // On the connection's thread. The call is answered when the answer is made, with 504 if its time
  // is over before, and with 429 if too much waits already; one whose client has gone is let go.
  // `images` is how many the stream names.
  void Join(const std::shared_ptr<Call>& call, const layers::Form& form, size_t images)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Ends what is being made, soon, and all that comes after it.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // One answer. Everything but the assembly is guarded by mu_.
  struct Flight;
  // Where a call waits: what its end has to find.
  struct Seat;
  struct Stats {
    std::atomic<size_t> open = 0, joined = 0, abandoned = 0;
  };

  std::shared_ptr<Flight> FlightOf(const Call& call, const layers::Form& form)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether somebody will make it: a flight stands in the queue of each user who waits for it, so
  // that it comes when the first of them has a turn.
  bool Order(const std::shared_ptr<Flight>& flight, const Call& call, size_t images)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Leave(const std::shared_ptr<Seat>& seat, Call::End end) ABSL_LOCKS_EXCLUDED(mu_);
  // Others' orders of it are taken back.
  void Cancel(Flight& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Close(const Flight& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run(const std::shared_ptr<Flight>& flight) ABSL_LOCKS_EXCLUDED(mu_);

  layers::Index& index_;
  const Lane lane_;
  const Answer answer_;
  const std::shared_ptr<Stats> stats_;  // metrics may be read after this is gone

  base::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Flight*> running_ ABSL_GUARDED_BY(mu_);  // one for each worker at most
  base::StringMap<std::shared_ptr<Flight>> open_ ABSL_GUARDED_BY(mu_);  // by stream and form
};

}  // namespace strata::endpoints
