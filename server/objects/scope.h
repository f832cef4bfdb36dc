// What watches of one resource, in one namespace or in all, or of one object, have in common: the
// events that came last.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/revision.h"
#include "server/objects/event.h"
#include "server/objects/watch_frames.h"
#include "server/registry/resource.h"

namespace strata::objects {

class Watch;

struct ScopeKey {
  const registry::Resource* resource;
  std::string ns;    // empty: all
  std::string name;  // empty: all
  friend auto operator<=>(const ScopeKey&, const ScopeKey&) = default;
};

// Thread-safe. Events are added by the hub alone.
class Scope {
 public:
  // All events behind `from` will be here.
  Scope(ScopeKey key, base::Revision from) : key_(std::move(key)), from_(from) {}

  const ScopeKey& key() const { return key_; }

  using Events = std::vector<std::shared_ptr<Event>>;
  // The hub's: whole revisions, so that nobody takes a part of one for all of it. Returns who has
  // to be woken.
  std::vector<std::shared_ptr<Watch>> Add(Events events) ABSL_LOCKS_EXCLUDED(mu);
  // What there is of the revision, the oldest one, goes.
  void Drop(base::Revision revision) ABSL_LOCKS_EXCLUDED(mu);
  // What there is goes, and so does the revision, which is to come: who watches reads it from the
  // history. Returns who has to be woken.
  std::vector<std::shared_ptr<Watch>> Skip(base::Revision revision) ABSL_LOCKS_EXCLUDED(mu);
  // Every watch ends, soon.
  void End() ABSL_LOCKS_EXCLUDED(mu);
  // The forms that somebody watches in, and whether somebody selects, who may want an object as it
  // was before.
  std::vector<WatchForm> forms() const ABSL_LOCKS_EXCLUDED(mu);

  // Also what watches note of themselves for others.
  mutable base::Mutex mu;

 private:
  friend class Watch;
  friend class Hub;

  // Those of its watches that wait; they don't any more, and have everything before `coming`. That
  // `mu` guards what each notes of itself is more than the analysis can follow.
  std::vector<std::shared_ptr<Watch>> TakeWaiting(base::Revision coming)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  const ScopeKey key_;
  base::Revision from_ ABSL_GUARDED_BY(mu);
  uint64_t first_ ABSL_GUARDED_BY(mu) = 0;  // the number of the oldest event
  std::deque<std::shared_ptr<Event>> events_ ABSL_GUARDED_BY(mu);
  absl::flat_hash_set<Watch*> watches_ ABSL_GUARDED_BY(mu);
  std::map<WatchForm, int> forms_ ABSL_GUARDED_BY(mu);
  bool ended_ ABSL_GUARDED_BY(mu) = false;
};

}  // namespace strata::objects
