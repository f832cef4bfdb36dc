// Hears of changes, makes them events, and wakes who watches (k8s.io/apiserver
// pkg/storage/cacher).
//
// What was heard of last is kept, bounded in bytes, as events that all watches share. One thread
// reads the history for all of them, and encodes each event once in each form that somebody
// watches.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/base/shares.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/objects/kind.h"
#include "server/objects/scope.h"
#include "server/objects/watch.h"
#include "storage/records/keys.h"
#include "storage/reflector/events.h"
#include "storage/replica/history.h"

namespace strata::objects {

// A consumer of the reflector, that comes behind those whom the history is told by. Thread-safe.
class Hub final : public reflector::Consumer {
 public:
  struct Options {
    // Of events that watches share, with their encodings.
    base::Limit cache_bytes = 64 << 20;
    // Of frames that were made for watches and aren't sent: those of all together.
    base::Limit buffer_bytes = 256 << 20;
  };

  // All outlive it. `kinds` are those that are watched.
  Hub(const replica::History& history, const records::Keys& keys, std::vector<const Kind*> kinds,
      const Options& options, const base::Clock& clock, const obs::Logger& log,
      obs::Metrics& metrics);
  ~Hub() override;

  void Start();
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);
  // Every watch ends, now and from now on: the server is about to.
  void EndWatches() ABSL_LOCKS_EXCLUDED(mu_);

  // The reflector's. None of them waits.
  void BeginList() override {}
  void ListPage(const std::vector<records::Change>&) override {}
  void EndList(base::Revision revision) override ABSL_LOCKS_EXCLUDED(mu_);
  void AbortList() override {}
  void Apply(const std::vector<reflector::Batch>&, base::Revision revision) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // What watches need of it.
  std::shared_ptr<Scope> Enter(const Kind& kind, const ListQuery& query) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(const Scope& scope, const Watch& watch) ABSL_LOCKS_EXCLUDED(mu_);
  // Watch::OnTime is called then, and again when it says, while the watch lives.
  void CallAt(base::MonotonicTime time, const std::shared_ptr<Watch>& watch)
      ABSL_LOCKS_EXCLUDED(mu_);
  void NoteBehind() { ++behind_; }
  // The history has everything up to it.
  base::Revision known() const { return known_; }
  // The scopes have everything up to it.
  base::Revision told() const { return told_; }
  base::Shares& buffers() { return buffers_; }
  const replica::History& history() const { return history_; }
  const records::Keys& keys() const { return keys_; }
  const base::Clock& clock() const { return clock_; }

 private:
  using ScopePointer = std::shared_ptr<Scope>;
  struct Kept {
    std::shared_ptr<Event> event;
    size_t bytes;
    std::vector<ScopePointer> scopes;
  };
  struct Entry {
    ScopePointer scope;
    int watches = 0;
  };
  // The revision that is being read.
  struct Coming {
    base::Revision revision = 0;
    std::vector<Kept> events;
    size_t bytes = 0;
    std::set<ScopePointer> behind;  // for whose events there was no room
  };

  void Run();
  // Brings the scopes to `to`.
  void Advance(base::Revision to) ABSL_LOCKS_EXCLUDED(mu_);
  // Where an event of the record would go.
  std::vector<ScopePointer> ScopesOf(const Kind& kind, const records::Id& id) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // Whether somebody waits for it. For whom there is no room falls behind.
  bool Wants(base::Revision revision, const records::Id& id) ABSL_LOCKS_EXCLUDED(mu_);
  void Take(const replica::Event& change) ABSL_LOCKS_EXCLUDED(mu_);
  // What has come of a revision is in the scopes, all at once.
  void Keep();
  void DropOldest();
  void DropUnwatched() ABSL_LOCKS_EXCLUDED(mu_);
  void WakeAll();
  // All that is kept is of another history, or has a gap behind it.
  void BreakOff(const char* why) ABSL_LOCKS_EXCLUDED(mu_);
  void EndScopes() ABSL_LOCKS_EXCLUDED(mu_);
  void CallDue() ABSL_LOCKS_EXCLUDED(mu_);

  const replica::History& history_;
  const records::Keys& keys_;
  const std::vector<const Kind*> kinds_;
  const Options options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const obs::Counter events_, ends_;

  base::Shares buffers_;
  std::atomic<base::Revision> known_ = 0, told_ = 0;
  std::atomic<uint64_t> behind_ = 0;
  std::atomic<size_t> watches_ = 0, kept_bytes_ = 0;

  // The thread's own.
  Coming coming_;
  std::deque<Kept> kept_;                      // whole revisions
  std::vector<std::shared_ptr<Watch>> woken_;  // by what is being read

  std::stop_source stop_;  // under the lock, by which its thread wakes

  mutable absl::Mutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t epoch_ ABSL_GUARDED_BY(mu_) = 0;     // of the history, as of the last list
  bool replaced_ ABSL_GUARDED_BY(mu_) = false;  // by another one
  // What is being read: scopes that are made now have everything behind it.
  base::Revision reading_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<ScopeKey, Entry> scopes_ ABSL_GUARDED_BY(mu_);
  // When each watch wants to be called; and how long nobody looks.
  std::map<std::pair<base::MonotonicTime, const Watch*>, std::weak_ptr<Watch>> times_
      ABSL_GUARDED_BY(mu_);
  base::MonotonicTime asleep_until_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace strata::objects
