// One watch: what there is, what came since, what comes.
//
// It begins with the records as of a revision, if that is asked, goes on with the history behind
// it, and then lives from the events that its scope keeps for all. Whoever is so slow that its next
// event is gone there reads on from the history, and is ended when that is gone too. So nothing is
// queued for a watch: it costs where it stands.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/shares.h"
#include "server/objects/event.h"
#include "server/objects/list_reader.h"
#include "server/objects/scope.h"

namespace strata::objects {

class Hub;

struct WatchRequest {
  WatchForm form;
  // `query.revision`: what there is as of it comes first, if `initial_events`; then what came
  // behind it. No limit, no start.
  ListQuery query;
  bool initial_events = false;
  // The client has named `query.revision`: it may have been told a part of what that one changed.
  bool resumes = false;
  bool initial_events_end = false;  // a bookmark ends them
  bool bookmarks = false;
  base::MonotonicTime end;  // when it is over
  std::string user;         // whose room it takes
};

// Take on its connection's thread, Work on a worker, never both at a time. Others only wake it, or
// stop it.
class Watch : public std::enable_shared_from_this<Watch> {
 public:
  // `wake` is called, from any thread, when Take has something to say again.
  Watch(Hub& hub, const Kind& kind, WatchRequest request, std::function<void()> wake);
  ~Watch();
  // Before anything else.
  void Begin();

  enum class Next {
    kFrames,  // more at once
    kWait,    // for Wake
    kWork,    // for a worker
    kEnd,
  };
  // What comes next, for `out`, which is empty. What costs more than copying, a worker is asked
  // for.
  Next Take(std::string& out);
  // Makes what comes next, for Take. Where there is no room for it, the watch is over: its client
  // begins again where it is.
  void Work();

  void Wake() const { wake_(); }
  // It is over: nobody takes any more, or is to. A worker who works ends.
  void Stop() { stop_.request_stop(); }
  // The hub's: it is so late. When it wants to be told next.
  base::MonotonicTime OnTime(base::MonotonicTime now) ABSL_LOCKS_EXCLUDED(scope_->mu);
  base::MonotonicTime NextTime(base::MonotonicTime now) const;

 private:
  friend class Scope;
  friend class Hub;
  enum class Phase { kInitial, kHistory, kLive, kOver };

  void ReadInitial();
  void ReadHistory();
  // Of what it reads: whether that is enough for once. Frames of one revision may go out in parts:
  // who is told one of them, and then no more, names that revision when he begins again, and is
  // told all of it.
  bool Hear(const replica::Event& change);
  // Whether it waited. It has everything up to `seen` then, and waits no more.
  bool StopWaiting(base::Revision seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(scope_->mu);
  // Whether what comes next is in the scope by now.
  bool Join() ABSL_LOCKS_EXCLUDED(scope_->mu);
  // Behind which revision it goes on.
  base::Revision Behind() const;
  // Who has named a revision that pending_ has several events of is told them again, for nobody
  // knows which of them he has seen; a single one he has.
  void SkipSeen();
  // Moves the next events of the scope to pending_. Where there are none and a bookmark is due,
  // `bookmark` is the revision that it may tell.
  std::optional<Next> Gather(base::Revision& bookmark) ABSL_LOCKS_EXCLUDED(scope_->mu);
  // Appends pending_'s frames. False: one has to be encoded, which is more than may be done here.
  bool Send(bool may_encode, std::string& out);
  void SendAll();
  void SendFrame(std::string_view type, std::string_view object, std::string& out);
  void SendBookmark(base::Revision revision, bool ends_initial_events, std::string& out);
  void Fail(const base::Status& status);

  Hub& hub_;
  const Kind& kind_;
  const WatchRequest request_;
  const std::function<void()> wake_;
  const std::shared_ptr<Scope> scope_;
  const base::MonotonicTime begun_;
  std::stop_source stop_;

  // Of who takes or works.
  Phase phase_;
  WatchForm form_;            // of the next frame
  base::Revision delivered_;  // everything up to it
  bool resumes_;              // what pending_ begins with may be of the revision that was named
  base::Revision floor_ = 0;  // what is pending of up to it was delivered in another way
  // Of which revision of the history how many changes were told, if that may not be all.
  struct Part {
    base::Revision revision = 0;
    size_t told = 0;
  };
  Part part_;
  std::unique_ptr<ListReader> reader_;
  std::string made_;                         // by a worker, for Take
  std::optional<base::Shares::Share> room_;  // of it
  std::deque<std::shared_ptr<Event>> pending_;
  uint64_t next_ = 0;  // the number of the scope's event that comes next

  base::MonotonicTime due_;  // the hub's, under its lock
  bool waiting_ ABSL_GUARDED_BY(scope_->mu) = false;
  // Everything up to it was delivered when it last stopped waiting: what came then may be gone from
  // the scope before it looks, and what it was told last from the history.
  base::Revision seen_ ABSL_GUARDED_BY(scope_->mu) = 0;
  bool bookmark_due_ ABSL_GUARDED_BY(scope_->mu) = false;
};

}  // namespace strata::objects
