// One endpoint of a client: how to reach it, and the connection that calls share.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/alarm.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/transport/net/address.h"
#include "lib/transport/net/client_credentials.h"
#include "storage/client/channel.h"
#include "storage/client/client.h"
#include "storage/client/direct.h"
#include "storage/client/patience.h"

namespace strata::client {

// Thread-safe but for `direct`, which Client guards. It outlives all who wait.
struct Client::Endpoint {
  // Whoever waits for the connection.
  struct Wait {
    // `fresh`: the connection wasn't there before.
    using Then = std::function<void(base::StatusOr<std::shared_ptr<const Connection>> connection,
                                    bool fresh)>;
    explicit Wait(Then f) : then(std::move(f)) {}

    const Then then;
    std::atomic<bool> told = false;
    // Guarded by the endpoint's mutex.
    base::MonotonicTime since;
    bool cancelled = false;
    grpc::Alarm alarm;
  };

  Endpoint(std::string u, net::Address a, net::ClientCredentials* files, const Options& options);
  // Within the process: a connection that is always there.
  Endpoint(std::string u, std::shared_ptr<const Connection> fixed, InProcessRange range);
  ~Endpoint();

  // The connection that calls share; null if it is to be dialled.
  std::shared_ptr<const Connection> Ready() ABSL_LOCKS_EXCLUDED(mu);
  // Calls `wait->then` once: now, if there is a connection after all, or from another thread, which
  // it may not block, when there is one or can be none, at the deadline, or when the wait is
  // cancelled. The endpoint's own thread dials, and finds out whether it is an etcd's, for all who
  // wait; it stops when nobody does any more.
  void Connect(const std::shared_ptr<Wait>& wait, base::MonotonicTime deadline)
      ABSL_LOCKS_EXCLUDED(mu);
  void Cancel(const std::shared_ptr<Wait>& wait) ABSL_LOCKS_EXCLUDED(mu);
  // The same for a thread that may block.
  base::StatusOr<std::shared_ptr<const Connection>> AwaitConnection(CallEnd& end);

  // The next call dials anew. Calls on it go on.
  void Drop(const std::shared_ptr<const Connection>& connection) ABSL_LOCKS_EXCLUDED(mu);
  // A connection of the caller's own, to an endpoint that is dialled. Blocks.
  base::StatusOr<std::shared_ptr<const Connection>> Dial(CallEnd& end);

  const std::string url;
  const net::Address address;
  net::ClientCredentials* const tls;  // null: none
  const Options options;
  const bool dialled;
  const InProcessRange in_process;
  Patience dialling, answering;              // the latter: the first answer on a stream
  std::unique_ptr<DirectConnection> direct;  // null: in this process

 private:
  using Waits = std::vector<std::shared_ptr<Wait>>;

  base::StatusOr<std::shared_ptr<const Connection>> TryDial(CallEnd& end,
                                                            base::MonotonicTime deadline) const;
  base::Status Greet(const Connection& connection, CallEnd& end,
                     base::MonotonicTime deadline) const;
  std::shared_ptr<const Connection> Usable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  base::Status StartDialler() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void RunDialler() ABSL_LOCKS_EXCLUDED(mu);
  // At its deadline, or when it was cancelled.
  void GiveUp(const std::shared_ptr<Wait>& wait) ABSL_LOCKS_EXCLUDED(mu);
  // Those who have to hear of a dialling that began then and was ended by `end` or by itself.
  Waits TakeTold(const base::Status& outcome, const CallEnd& end, base::MonotonicTime since)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  absl::Mutex mu;
  Waits waits ABSL_GUARDED_BY(mu);
  std::shared_ptr<const Connection> connection ABSL_GUARDED_BY(mu);
  std::unique_ptr<CallEnd> dial_end ABSL_GUARDED_BY(mu);  // null: nothing is dialled
  bool stopping ABSL_GUARDED_BY(mu) = false;
  std::thread dialler ABSL_GUARDED_BY(mu);  // from the first dialling on
};

}  // namespace strata::client
