// The objects of one resource at an API server, listed and watched by the rules of client-go
// (tools/cache/reflector.go).
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/kube/api.h"
#include "server/kube/watch_events.h"
#include "storage/client/backoff.h"
#include "storage/records/record.h"

namespace strata::kube_source {

// Operation: a list is a watch that begins with what there is, where the API server offers that,
// and pages otherwise. A watch that ends goes on where it stood, unless that is forgotten, or its
// history isn't the one of before.
//
// Concurrency: everything on the Api's thread. Ends before its Api does, or after Api::Stop.
class Feed {
 public:
  struct Options {
    int64_t page_size = 500;
    // Of a page; of a list by a watch, without a byte.
    std::chrono::milliseconds list_timeout{30'000};
    // A watch is to end between once and twice this: so long may one be silent whose API server
    // hangs, while others behind the same address give signs of life. HTTP/1.1 has no ping.
    std::chrono::seconds watch_time{8};
    size_t max_object_bytes = 16 << 20;
    client::Backoff::Options backoff{.first = std::chrono::milliseconds(800),
                                     .most = std::chrono::milliseconds(30'000)};
  };

  // Told of what happens. A change's revision is its object's resourceVersion, of a deletion the
  // one that deleted.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void OnPage(const std::vector<records::Change>& page) = 0;
    // The pages were all that there is at `revision`.
    virtual void OnListed(records::Kind kind, base::Revision revision) = 0;
    virtual void OnListFailed(records::Kind kind, const base::Status& why) = 0;
    // The API server has begun to answer: what changes will be told.
    virtual void OnWatching(records::Kind kind) = 0;
    // In the order of their revisions; and there is nothing else before `position`. At it more may
    // come: of one transaction, events have one revision.
    virtual void OnChanges(records::Kind kind, std::vector<records::Change> changes,
                           base::Revision position) = 0;
    // Nothing is told until OnWatching. OK: its time was over.
    virtual void OnWatchEnd(records::Kind kind, const base::Status& why) = 0;
    // What has changed can't be told any more: kOutOfRange, since it is too long ago, kAborted,
    // since the history is another one; or it couldn't be read, again and again.
    virtual void OnLost(records::Kind kind, const base::Status& why) = 0;
  };

  Feed(kube::Api& api, records::Kind kind, const Options& options, Sink& sink,
       const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics);

  // Begins anew, and ends what went on.
  void List();
  // From the list's revision.
  void Watch();
  // Nothing is told any more, until List or Watch.
  void End();
  // The API server answers again: a watch that waits for its time begins.
  void Hurry();

  // Everything before this has been told.
  base::Revision position() const { return position_; }

 private:
  using Object = kube::WatchEvents::Object;

  kube::Request RequestFor(const std::string& query) const;
  void ListByWatch();
  base::Status TakeInitial(std::string_view type, const Object& object);
  void OnInitialEnd(const base::StatusOr<kube::Response>& end);
  void ListPages(const std::string& token);
  void OnPage(const std::string& token, const base::StatusOr<kube::Response>& answer);
  base::Status TakePage(const std::string& token, const kube::Response& answer, std::string& next);
  void Flush();
  bool OnData(std::string_view bytes);
  base::Status Take(std::string_view type, const Object& object);
  base::Status Move(base::Revision revision);
  void OnEnd(const base::StatusOr<kube::Response>& end);
  void WatchLater();
  // The record; nothing if the object is none, which is said once.
  bool Accept(std::string object, std::vector<records::Change>& to);

  kube::Api& api_;
  const records::Kind kind_;
  const Options options_;
  Sink& sink_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const obs::Counter pages_, refused_objects_, breaks_;

  uint64_t generation_ = 0;  // of who listens to answers
  bool waits_ = false;       // for the time of the next watch
  bool watch_list_refused_ = false;
  int64_t limit_;                         // of a page's objects
  std::vector<records::Change> changes_;  // of a page, or of what a watch has just brought
  bool listed_some_ = false;              // pages of this list were told
  base::Revision list_revision_ = 0;      // 0: it isn't known yet
  base::Revision newest_listed_ = 1;      // of the objects that a watch has listed
  base::Revision position_ = 0;
  base::Revision from_ = 0;  // of the watch
  base::StringSet told_;     // objects whose change at `position_` a watch has brought
  kube::WatchEvents events_;
  base::Status error_;  // why the receiver ended the watch
  base::MonotonicTime began_;
  bool brought_ = false;  // something came by this watch; of a list, that it has begun
  int failures_ = 0;      // in a row, by what came and not for lack of an answer
  client::Backoff backoff_;
  std::minstd_rand random_{std::random_device()()};
};

}  // namespace strata::kube_source
