// gRPC as this room uses it: connections that we dial ourselves, deadlines, and errors turned into
// ours. gRPC gets a connected socket of plain bytes, so its resolver, proxies, certificates,
// back-off and environment have no say.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/transport/net/tunnel.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/client/client.h"

namespace strata::client {

// Ends one call in whichever phase it is: dialling, greeting, waiting for the answer. Thread-safe.
class CallEnd {
 public:
  // For good.
  void Set() ABSL_LOCKS_EXCLUDED(mu_);
  bool set() const ABSL_LOCKS_EXCLUDED(mu_);

  // Set calls `stop`, under a lock: it may not wait for anything. False if it was set before.
  bool Arm(std::function<void()> stop) ABSL_LOCKS_EXCLUDED(mu_);
  // `stop` doesn't run any more.
  void Disarm() ABSL_LOCKS_EXCLUDED(mu_);

  // Runs `call`, which blocks and is cancelled through `context`. CANCELLED if it was set before.
  template <typename Call>
  grpc::Status Run(grpc::ClientContext& context, const Call& call) {
    if (!Arm([&] { context.TryCancel(); })) return {grpc::StatusCode::CANCELLED, "cancelled"};
    grpc::Status status = call();
    Disarm();
    return status;
  }

 private:
  mutable absl::Mutex mu_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
  std::function<void()> stop_ ABSL_GUARDED_BY(mu_);
};

// Thread-safe, as stubs are.
struct Connection {
  Connection(const std::shared_ptr<grpc::Channel>& channel, std::unique_ptr<net::Tunnel> t,
             int socket);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Whether the other side has ended it: nothing needs to be sent to find out.
  bool over() const;
  // `error`, of a call on it, with what only TLS knows.
  base::Status Explain(const base::Status& error) const;

  const std::unique_ptr<net::Tunnel> tunnel;  // null: without TLS
  const int socket;                           // a duplicate of gRPC's; negative: none
  const std::unique_ptr<etcdserverpb::KV::Stub> kv;
  const std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  const std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
  const std::unique_ptr<etcdserverpb::Auth::Stub> auth;
};

// Keeps the threads that gRPC calls back on, as long as it lives; no callback may let go of it.
// With the last channel that was called with callbacks gRPC joins them, under a lock that the first
// such call on another channel takes (completion_queue_cc.cc, CallbackAlternativeCQ): a callback
// that let go of the last connection would have its thread wait for itself, and go on with what is
// freed; one that begins a call meanwhile would be waited for, and wait for the lock. Throws as
// std::thread does where the system denies them: nobody can do without.
std::shared_ptr<grpc::Channel> KeepCallbackThreads();

// Runs `work`, which `cancel` ends early.
template <typename Work>
base::Status Client::Cancellable(Cancellation* cancellation, const Cancellation::Canceller& cancel,
                                 const Work& work) {
  if (cancellation == nullptr) return work();
  if (!cancellation->Enter(cancel)) return base::CancelledError("shutting down");
  base::Status status = work();
  cancellation->Leave(cancel);
  return status;
}

// Of https endpoints. The error names the flag and file.
base::StatusOr<std::unique_ptr<net::ClientCredentials>> LoadTlsFiles(const Options& options,
                                                                     const obs::Logger& log,
                                                                     obs::Metrics& metrics);

// gRPC's deadlines are wall times on the outside.
std::chrono::system_clock::time_point WallDeadline(base::MonotonicTime deadline);

// Whether it can be sent as the value of metadata: gRPC ends the process for one that can't
// (call_op_set.h, CallOpSet::ContinueFillOpsAfterInterception).
bool IsMetadata(std::string_view value);

// Whether a new token may help: etcd forgets tokens, and refuses those from before a change of its
// users (etcd clientv3 retry_interceptor.go shouldRefreshToken).
bool IsTokensFault(const base::Status& status);

// Whether another endpoint may do better: whatever isn't an etcd's own answer, and those of its
// answers that are about itself.
bool IsEndpointsFault(const base::Status& status);
// Whether a server of etcd's API said it, be it that it doesn't do what it was asked (as kine
// says).
bool IsAnswer(const base::Status& status);
// Whether the connection on which it came is of no use any more.
bool IsConnectionsFault(const base::Status& status);

// The same error, with the endpoint in front.
base::Status At(const std::string& url, const base::Status& error);
base::Status FromGrpc(const grpc::Status& status);
// Whether what came was HTTP without being gRPC.
bool IsHttpAnswer(const grpc::Status& status);

}  // namespace strata::client
