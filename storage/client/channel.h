// gRPC as this room uses it: channels, deadlines, and errors turned into ours.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string>

#include "base/status.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/client/client.h"
#include "storage/client/direct.h"

namespace strata::client {

struct Client::Endpoint {
  // `c` is dialled; null for a channel within the process, which needs no dialling.
  Endpoint(std::string u, const std::shared_ptr<grpc::Channel>& channel,
           std::shared_ptr<grpc::Channel> c)
      : url(std::move(u)),
        dialled(std::move(c)),
        kv(etcdserverpb::KV::NewStub(channel)),
        watch(etcdserverpb::Watch::NewStub(channel)),
        maintenance(etcdserverpb::Maintenance::NewStub(channel)),
        auth(etcdserverpb::Auth::NewStub(channel)) {}

  // gRPC moves a connection attempt on only while something waits on the channel (or every five
  // seconds), and a call on a channel that has failed doesn't wait. So a call gives the attempt
  // this chance first.
  void AwaitConnection(base::MonotonicTime deadline) const;

  const std::string url;
  const std::shared_ptr<grpc::Channel> dialled;
  const std::unique_ptr<etcdserverpb::KV::Stub> kv;
  const std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  const std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
  const std::unique_ptr<etcdserverpb::Auth::Stub> auth;
  std::unique_ptr<DirectConnection> direct;  // once it is used
  InProcessRange in_process;
};

// Runs `call`, which `cancel` ends early.
template <typename Call>
base::Status Client::Cancellable(Cancellation* cancellation, const Cancellation::Canceller& cancel,
                                 const Call& call) {
  if (cancellation == nullptr) return call();
  if (!cancellation->Enter(cancel)) return base::CancelledError("shutting down");
  base::Status status = call();
  cancellation->Leave(cancel);
  return status;
}

// gRPC's deadlines are wall times on the outside.
std::chrono::system_clock::time_point WallDeadline(base::MonotonicTime deadline);

// A channel to `url`. The error names the flag or file that is wrong.
base::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& url,
                                                           const Options& options);

// Whether a new token may help: etcd forgets tokens, and refuses those from before a change of its
// users (etcd clientv3 retry_interceptor.go shouldRefreshToken).
bool IsTokensFault(const base::Status& status);

// The same error, with the endpoint in front.
base::Status At(const std::string& url, const base::Status& error);
base::Status FromGrpc(const grpc::Status& status, const std::string& url);

}  // namespace strata::client
