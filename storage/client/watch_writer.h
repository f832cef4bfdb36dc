// What is asked for on a stream of watches, and the thread that writes it. A peer that grants no
// window lets a write wait for ever: nobody who asks waits for it.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "proto/etcd/rpc.pb.h"
#include "storage/client/client.h"

namespace strata::client {

// Thread-safe, but Start and End, which are the reading thread's. What is asked before Start or
// after Stop is forgotten. What waits is bounded: progress and a sign are in it once each, and a
// peer that leaves signs unanswered is asked for few.
class WatchWriter {
 public:
  using Stream = grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;
  // What a creation is asked for. Answers come in the order of the questions (but kine 0.13's to
  // several that wait: no stream of a kine has more than signs of life among them).
  enum class Asked { kProbe, kWatch, kSign };

  // Signs are watches of `sign_key`, cancelled once they are there.
  explicit WatchWriter(std::string sign_key) : sign_key_(std::move(sign_key)) {}
  ~WatchWriter() { End(); }
  WatchWriter(const WatchWriter&) = delete;
  WatchWriter& operator=(const WatchWriter&) = delete;

  // `stream` outlives End. `first` is written first.
  base::Status Start(Stream& stream, Asked first, const WatchOptions& wanted)
      ABSL_LOCKS_EXCLUDED(mu_);
  // No sign comes any more.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);
  // The same, and waits for what is being written: for as long as the call isn't over.
  void End() ABSL_LOCKS_EXCLUDED(mu_);

  void Create(Asked what, const WatchOptions& wanted) ABSL_LOCKS_EXCLUDED(mu_);
  void RequestProgress() ABSL_LOCKS_EXCLUDED(mu_);
  // Returns which sign it is.
  uint64_t AskForSign() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether it has come by then. At once if none will.
  bool AwaitSign(uint64_t sign, base::MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // For what the watch was asked that has been created with this id; none for nothing.
  std::optional<Asked> Created(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  enum class Kind { kCreation, kSign, kCancellation, kProgress };
  struct Request {
    Kind kind;
    etcdserverpb::WatchRequest message;
  };

  bool Waits(Kind kind) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Push(Asked what, const WatchOptions& wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Next(etcdserverpb::WatchRequest& message) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string sign_key_;

  absl::Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  bool begun_ ABSL_GUARDED_BY(mu_) = false;           // there is a watch that may progress
  std::deque<Request> waiting_ ABSL_GUARDED_BY(mu_);  // to be written
  std::deque<Asked> asked_ ABSL_GUARDED_BY(mu_);      // without an answer
  uint64_t signs_asked_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t signs_come_ ABSL_GUARDED_BY(mu_) = 0;

  std::thread thread_;  // the reading thread's
};

}  // namespace strata::client
