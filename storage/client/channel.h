// gRPC as this room uses it: channels, deadlines, and errors turned into ours.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>

#include "base/status.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/client/client.h"

namespace strata::client {

struct Client::Endpoint {
  Endpoint(std::string u, std::shared_ptr<grpc::Channel> channel)
      : url(std::move(u)),
        kv(etcdserverpb::KV::NewStub(channel)),
        watch(etcdserverpb::Watch::NewStub(channel)),
        maintenance(etcdserverpb::Maintenance::NewStub(channel)),
        auth(etcdserverpb::Auth::NewStub(channel)) {}

  const std::string url;
  const std::unique_ptr<etcdserverpb::KV::Stub> kv;
  const std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  const std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
  const std::unique_ptr<etcdserverpb::Auth::Stub> auth;
};

// A channel to `url`. The error names the flag or file that is wrong.
base::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& url, const Options& options);

// The same code with the message, and the endpoint in front.
base::Status FromGrpc(const grpc::Status& status, const std::string& url);

}  // namespace strata::client
