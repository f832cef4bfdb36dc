// The records of a backend, here: at its revisions, with the history of the last minutes.
//
// A list is gathered into a file aside, and takes the place of the one before when it is whole;
// changes are written as they come. History begins at the list's revision, unless the list shows
// that nothing has changed. What is so old that it is forgotten is read from the backend, if that
// has revisions.
//
// The files are a cache. When one can't be written or read, for the disk is full or damaged, the
// replica gives it up: gets are read from the backend, lists and watches are refused, and after a
// while, when there is room, the reflector is asked for a list.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/backoff.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"
#include "storage/reflector/events.h"
#include "storage/replica/backend_reader.h"
#include "storage/replica/cache_dir.h"
#include "storage/replica/edition.h"
#include "storage/replica/history.h"
#include "storage/replica/horizon.h"
#include "storage/replica/replica_metrics.h"

namespace strata::replica {

// Written on the reflector's threads, as its consumer; read by any.
class Replica final : public reflector::Consumer, public History {
 public:
  struct Options {
    std::string cache_dir{};                         // empty: a temporary one (cache_dir.h)
    std::chrono::milliseconds history_age{300'000};  // as etcd is compacted by kube-apiserver
    size_t history_bytes = size_t{256} << 20;        // of changes
    // Between giving a file up and asking for a list.
    client::Backoff::Options retry{.first = std::chrono::milliseconds(60'000),
                                   .most = std::chrono::milliseconds(960'000)};
  };

  // `client` is the backend's; null: there is none that could be asked for what is forgotten. The
  // error is the cache directory's.
  static base::StatusOr<std::unique_ptr<Replica>> Create(
      client::Client* client, const records::Keys& keys, const Options& options,
      const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics);

  void BeginList() override ABSL_LOCKS_EXCLUDED(mu_);
  void ListPage(const std::vector<records::Change>& page) override;
  void EndList(base::Revision revision) override ABSL_LOCKS_EXCLUDED(mu_);
  void AbortList() override;
  void Apply(const std::vector<reflector::Batch>& batches, base::Revision revision) override
      ABSL_LOCKS_EXCLUDED(mu_);
  bool needs_list() override ABSL_LOCKS_EXCLUDED(mu_);

  base::Revision oldest() const override ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t epoch() const override { return epoch_; }
  base::StatusOr<Page> Read(const Selection& selection) const override;
  base::StatusOr<std::optional<records::Change>> Find(const records::Id& id,
                                                      base::Revision revision,
                                                      base::MonotonicTime deadline) const override;
  base::StatusOr<base::Revision> Changes(const Interval& interval,
                                         absl::FunctionRef<void(Event event)> visit) const override;

 private:
  using Held = std::shared_ptr<const Edition>;

  Replica(std::unique_ptr<CacheDir> dir, client::Client* client, const records::Keys& keys,
          const Options& options, const base::Clock& clock, const obs::Logger& log,
          obs::Metrics& metrics);

  // Those of the reflector's thread.
  void Replace(std::shared_ptr<Edition> by) ABSL_LOCKS_EXCLUDED(mu_);
  void DropPrevious() ABSL_LOCKS_EXCLUDED(mu_);
  base::Status Write(const std::vector<reflector::Batch>& batches, base::Revision revision);
  // `failed` is null if there isn't even a file.
  void GiveUp(const base::Status& why, const Edition* failed) ABSL_LOCKS_EXCLUDED(mu_);
  void Measure();

  // What has the revision; null: only the backend may. Unavailable while all is given up.
  base::StatusOr<Held> Holding(base::Revision revision) const ABSL_LOCKS_EXCLUDED(mu_);
  template <typename Result>
  static base::StatusOr<Result> Noted(const Edition& read, base::StatusOr<Result> result);

  const std::unique_ptr<CacheDir> dir_;
  const records::Keys keys_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const ReplicaMetrics metrics_;
  const std::optional<BackendReader> backend_;

  std::atomic<base::Revision> told_ = 0;  // the newest
  std::atomic<uint64_t> epoch_ = 0;       // lists that took the place of others

  // The reflector's thread's own; those that list have the first one, too.
  std::shared_ptr<Edition> next_;
  base::Status next_failure_;         // why there is none
  std::shared_ptr<Edition> writing_;  // current_; null: there is none yet, or it was given up
  Horizon horizon_;
  base::Revision forget_ = 0;
  bool forgotten_ = true;  // all before that
  base::MonotonicTime previous_until_;
  client::Backoff retry_;

  mutable absl::Mutex mu_;
  Held current_ ABSL_GUARDED_BY(mu_);
  Held previous_ ABSL_GUARDED_BY(mu_);      // of the list before
  base::Status lost_ ABSL_GUARDED_BY(mu_);  // why all is given up
  // Then: when it is seen whether there is room, and for how much.
  base::MonotonicTime retry_at_ ABSL_GUARDED_BY(mu_);
  uint64_t needed_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace strata::replica
