// The records of an API server that serves images and image streams: a source beside etcd, for
// clusters whose etcd can't be had.
//
// The two resources have a watch each, and what one brings may be older than what the other has
// brought already. Consumers are told one history: in the order in which changes come, each at its
// own revision, or where that is taken by a later one, at the next that is free. Objects keep the
// resourceVersion that they came with. So of each resource all is told in its order, but of the two
// together only what both have come to is known to be whole (Barrier::Publish), and another server
// may tell them in another order (Barrier::StartOf). Where one watch stays away the other waits for
// it: otherwise watches of images that have been told a stream's revision would miss, at another
// server, the images before it.
//
// An answer is as new as the watches: nothing asks the API server for each request, as the barrier
// asks an etcd. A watch that is away, or an API server that doesn't answer for `silence_time`, has
// requests wait, and then fail. What isn't there is read by its name.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/kube/api.h"
#include "server/kube_source/feed.h"
#include "server/kube_source/lookups.h"
#include "storage/client/backoff.h"
#include "storage/reflector/barrier.h"
#include "storage/reflector/events.h"
#include "storage/reflector/health.h"
#include "storage/reflector/source.h"

namespace strata::kube_source {

class KubeSource final : public reflector::Source,
                         private Feed::Sink,
                         private reflector::Barrier::Backend {
 public:
  struct Options {
    Feed::Options feed{};
    Lookups::Options lookups{};
    reflector::Barrier::Options barrier{};
    client::Backoff::Options relist{.first = std::chrono::milliseconds(800),
                                    .most = std::chrono::milliseconds(30'000)};
    // How often the API server is asked for a sign of life, and how long it may give none before
    // what the watches have brought isn't believed to be new any more.
    std::chrono::milliseconds probe_interval{5'000};
    std::chrono::milliseconds silence_time{15'000};
  };

  // `consumer` is called on the Api's thread, between Start and Stop.
  KubeSource(std::shared_ptr<kube::Api> api, reflector::Consumer& consumer, const Options& options,
             const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics);
  ~KubeSource() override;

  void Start() override;
  // Stops the Api, too.
  void Stop() override;
  reflector::Barrier& barrier() override { return barrier_; }
  bool synced() const override { return barrier_.current() != 0; }
  base::Status connection() const override { return health_.status(); }
  bool may_miss() const override { return true; }
  void Seek(const std::vector<records::Id>& ids, std::string_view user,
            const Sought& done) override;

 private:
  // What a watch brought.
  struct News {
    std::vector<records::Change> changes;
    base::Revision position = 0;
  };
  // What is known of one resource.
  struct Resource {
    std::unique_ptr<Feed> feed;
    bool watching = false;  // and has brought what changed while none was open
    // When it ended in its time; long ago: otherwise, or there is none since the list.
    base::MonotonicTime away_since;
    uint64_t turn = 0;    // counts the ends of watches
    base::Status status;  // of the watch
    // Records that were read by name, by "namespace/name", at revisions that the watch hasn't come
    // passed: what it brings of them up to there is older.
    base::StringMap<base::Revision> ahead;
    // What was brought last while the other's watch was late; this one is at an end until that is
    // told.
    std::optional<News> held;
    std::atomic<base::Revision> position = 0;  // as the feed's
    std::atomic<int64_t> heard_ms = 0;         // when the watch last brought something
    std::unique_ptr<const obs::Counter> events;
  };

  // Feed::Sink.
  void OnPage(const std::vector<records::Change>& page) override;
  void OnListed(records::Kind kind, base::Revision revision) override;
  void OnListFailed(records::Kind kind, const base::Status& why) override;
  void OnWatching(records::Kind kind) override;
  void OnChanges(records::Kind kind, std::vector<records::Change> changes,
                 base::Revision position) override;
  void OnWatchEnd(records::Kind kind, const base::Status& why) override;
  void OnLost(records::Kind kind, const base::Status& why) override;

  // reflector::Barrier::Backend: what it would ask is known.
  base::StatusOr<reflector::Barrier::Target> Read(base::MonotonicTime deadline) override;
  base::Status Probe(base::MonotonicTime) override { return base::OkStatus(); }
  void RequestProgress() override {}
  void WatchLags() override {}
  void Restored() override {}

  Resource& Of(records::Kind kind) { return resources_[static_cast<size_t>(kind)]; }
  base::Revision Complete() const;
  // Whether a watch is so late that nothing may be told but what it brings.
  bool late() const;
  void OnCaughtUp(Resource& resource);
  // The watch is over; or ended by us.
  void Leave(Resource& resource);
  void End(Resource& resource);
  // By the clock that counts for heard_ms.
  int64_t now_ms() const;
  // Takes what was held for a watch that was late, if none is any more.
  void Release();
  void Take(Resource& resource, News news);
  bool silent() const { return clock_.Now() - alive_at_.load() > options_.silence_time; }
  void List();
  void ListLater(const base::Status& why);
  // What waits for its time is tried now.
  void Hurry();
  void EndList();
  // Tells the consumer, each change as one revision.
  void Deliver(std::vector<records::Change> changes);
  void Move(Resource& resource);
  base::Status TakeFound(records::Change record);
  // Whether requests may go on.
  void Attach();
  void Ask();
  void OnLife(base::Revision before, base::MonotonicTime asked,
              const base::StatusOr<kube::Response>& answer);

  const std::shared_ptr<kube::Api> api_;
  reflector::Consumer& consumer_;
  const Options options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const struct {
    obs::Counter start, broken, compacted, restored;
  } relists_;  // by their reason
  const obs::Gauge backend_revision_;
  reflector::Health health_;

  // The Api's thread's own.
  std::array<Resource, records::kKinds.size()> resources_;
  bool listing_ = false;       // the consumer gathers a list
  bool following_ = false;     // it has one, and is told what changes
  uint64_t lists_ = 0;         // so many were begun
  bool list_waits_ = false;    // for its time
  bool probe_failed_ = false;  // the last one
  const obs::Counter* reason_ = nullptr;
  bool restored_ = false;        // the next list is of another history
  base::Revision revision_ = 0;  // the consumer's
  base::MonotonicTime began_;    // of a list
  size_t listed_ = 0;            // records
  client::Backoff backoff_;

  // When what was answered last as a sign of life was asked for; the barrier's thread looks at it.
  std::atomic<base::MonotonicTime> alive_at_;
  reflector::Barrier barrier_;
  Lookups lookups_;
};

}  // namespace strata::kube_source
