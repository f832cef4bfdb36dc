// One stream of the Watch service.
//
// A watch that has seen everything up to the stream's common position is synced, and all synced
// watches are served by one reading of the history; the others catch up one by one. Progress may be
// told when all are synced.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/etcd/rpc.pb.h"
#include "storage/engine/store.h"
#include "storage/rpc/convert.h"
#include "storage/rpc/watch.h"

namespace strata::rpc {

// Called by gRPC's threads (On...), and by one of the service's at a time (Step). Lives until gRPC
// is done with it.
class WatchStream final
    : public grpc::ServerBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>,
      public std::enable_shared_from_this<WatchStream> {
 public:
  explicit WatchStream(WatchService& service);

  // Makes it live, and starts reading.
  void Begin() ABSL_LOCKS_EXCLUDED(mu_);

  // Reads on for its watches, unless something waits to be sent or commits gather.
  void Step() ABSL_LOCKS_EXCLUDED(mu_);
  // The time between two progress notifications is over.
  void TickProgress() ABSL_LOCKS_EXCLUDED(mu_);
  void Stop(const grpc::Status& why) ABSL_LOCKS_EXCLUDED(mu_);

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class WatchService;

  struct Watch {
    std::string key;
    std::string range_end;
    engine::Revision next = 0;  // the first revision that it wants and hasn't seen
    bool synced = false;
    bool prev_kv = false;
    bool fragment = false;
    bool no_put = false;
    bool no_delete = false;
    bool progress_notify = false;
    bool quiet = true;  // no events since the last tick
    bool progress_due = false;

    bool Wants(const engine::Change& change) const;
  };
  // One event is in the answers to all watches that want it.
  using Event = std::shared_ptr<mvccpb::Event>;
  using Events = std::vector<Event>;

  // An answer, whose events may be others' too.
  class Answer {
   public:
    Answer() = default;
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
    ~Answer();
    void Add(Event event);
    etcdserverpb::WatchResponse response;

   private:
    Events events_;  // of `response`, which doesn't own them
  };

  void Handle(const etcdserverpb::WatchRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Create(const etcdserverpb::WatchCreateRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Cancel(int64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int64_t ChooseId(int64_t wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The three things a step does, in this order, until one of them gives something to send.
  void ReadForSynced() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ReadForOneLagging() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);  // false if none lags
  void TellProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // What is committed from now on gathers for a while, if these are many answers.
  void Gather(size_t answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool any_synced() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static base::StatusOr<Event> MakeEvent(const engine::Change& change, bool with_prev);
  void SendEvents(int64_t id, const Watch& watch, Events events, engine::Revision seen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CancelCompacted(int64_t id, const engine::ChangesEnd& seen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Answer& Queue(int64_t id, engine::Revision revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts what can be started: a write, a read, the end.
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  WatchService& service_;
  engine::Store& store_;
  std::shared_ptr<WatchStream> self_;  // until OnDone

  // The service's, guarded by its mutex.
  enum class Turn { kIdle, kReady, kRunning, kRunningAgain };
  Turn turn_ = Turn::kIdle;

  absl::Mutex mu_;
  absl::btree_map<int64_t, Watch> watches_ ABSL_GUARDED_BY(mu_);
  int64_t next_id_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t last_lagging_ ABSL_GUARDED_BY(mu_) = -1;      // for turns among those that lag
  engine::Revision position_ ABSL_GUARDED_BY(mu_) = 0;  // synced watches have seen all before it
  std::chrono::steady_clock::time_point step_after_ ABSL_GUARDED_BY(mu_);  // until then it gathers
  bool gathering_ ABSL_GUARDED_BY(mu_) = false;                            // and is woken then
  bool progress_wanted_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Answer> out_ ABSL_GUARDED_BY(mu_);
  engine::AnswerBytes step_ ABSL_GUARDED_BY(mu_);  // of the events in out_
  bool writing_ ABSL_GUARDED_BY(mu_) = false;      // the front of out_
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;  // Finish is due, or called
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status end_ ABSL_GUARDED_BY(mu_);
  etcdserverpb::WatchRequest request_;  // gRPC's while reading_
};

}  // namespace strata::rpc
