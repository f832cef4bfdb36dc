// How new the index must be for a request: what `resourceVersion` asks, or what the backend had
// when the request came in.
#pragma once

#include <absl/base/thread_annotations.h>

#include <chrono>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "server/endpoints/call.h"
#include "storage/reflector/barrier.h"

namespace strata::endpoints {

// What goes on when the index is new enough.
class FreshHandler {
 public:
  virtual ~FreshHandler() = default;
  // On the connection's thread.
  virtual void ServeFresh(const std::shared_ptr<Call>& call) = 0;
  // Nobody can tell that it is.
  virtual void Refuse(const std::shared_ptr<Call>& call, const api::Error& error) {
    call->Fail(error);
  }
};

// Thread-safe.
class Freshness {
 public:
  // How long a resourceVersion that hasn't come yet is waited for (cacher.go blockTimeout).
  static constexpr std::chrono::milliseconds kNamedRevisionTimeout{3'000};

  Freshness(reflector::Barrier& barrier, const base::Clock& clock)
      : barrier_(barrier), clock_(clock) {}

  // Goes on with `handler`, which outlives the call, once the index is new enough. Otherwise, or if
  // the resourceVersion is none, the call is failed. On the connection's thread.
  void Wait(std::shared_ptr<Call> call, FreshHandler& handler) ABSL_LOCKS_EXCLUDED(mu_);
  // The same for what was understood already: as new as the backend was when the request came in,
  // or as that revision, which `asked` is said to be if it doesn't come, of that origin.
  void WaitForNewest(std::shared_ptr<Call> call, FreshHandler& handler) ABSL_LOCKS_EXCLUDED(mu_);
  void WaitForRevision(std::shared_ptr<Call> call, FreshHandler& handler, base::Revision revision,
                       std::string asked,
                       reflector::Barrier::Origin origin = reflector::Barrier::Origin::kBackend);

  // Where a watch has to begin that goes on behind a revision (Barrier::StartOf).
  base::Revision StartOf(base::Revision named) const { return barrier_.StartOf(named); }
  // The index's revision; of whoever goes on, one that is new enough.
  base::Revision current() const { return barrier_.current(); }

 private:
  struct Waiting {
    std::shared_ptr<Call> call;
    FreshHandler* handler;
    std::string asked{};  // the revision, as the client says it
    reflector::Barrier::Origin origin = reflector::Barrier::Origin::kBackend;
  };
  // What one thread reads in one turn of its loop goes to the barrier together: locks, wake-ups and
  // the way back are paid once for all of it.
  struct Group {
    base::MonotonicTime deadline;
    std::vector<Waiting> calls;
  };
  // Calls whose deadlines are so near to each other can share one; a turn is shorter.
  static constexpr std::chrono::milliseconds kSameDeadline{100};

  void Join(Waiting waiting) ABSL_LOCKS_EXCLUDED(mu_);
  void Send(std::shared_ptr<Group> group);
  void GoOn(const Waiting& waiting, const base::Status& status);
  api::Error ErrorOf(const Waiting& waiting, const base::Status& status) const;

  reflector::Barrier& barrier_;
  const base::Clock& clock_;

  base::Mutex mu_;
  // What each thread gathers in this turn. The task that will send it owns it, so that it goes with
  // the thread's tasks.
  std::map<std::thread::id, std::weak_ptr<Group>> open_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::endpoints
