// The services of the etcd v3 API but Watch and Maintenance: each call is decoded, given to the
// engine, and its result encoded. Reads are done on the gRPC thread that brings them; writes are
// answered from the store's writing thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/engine/store.h"
#include "storage/rpc/convert.h"

namespace strata::rpc {

class KvService final : public etcdserverpb::KV::CallbackService {
 public:
  // Writes greater than `max_request_bytes` are refused.
  KvService(engine::Store& store, const Identity& identity, size_t max_request_bytes)
      : store_(store), identity_(identity), max_request_bytes_(max_request_bytes) {}

  // Range, at once. `answer` lives as long as the response is held.
  grpc::Status Read(const etcdserverpb::RangeRequest& request, engine::AnswerBytes& answer,
                    etcdserverpb::RangeResponse* response) const;

  grpc::ServerUnaryReactor* Range(grpc::CallbackServerContext* context,
                                  const etcdserverpb::RangeRequest* request,
                                  etcdserverpb::RangeResponse* response) override;
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context,
                                const etcdserverpb::PutRequest* request,
                                etcdserverpb::PutResponse* response) override;
  grpc::ServerUnaryReactor* DeleteRange(grpc::CallbackServerContext* context,
                                        const etcdserverpb::DeleteRangeRequest* request,
                                        etcdserverpb::DeleteRangeResponse* response) override;
  grpc::ServerUnaryReactor* Txn(grpc::CallbackServerContext* context,
                                const etcdserverpb::TxnRequest* request,
                                etcdserverpb::TxnResponse* response) override;
  grpc::ServerUnaryReactor* Compact(grpc::CallbackServerContext* context,
                                    const etcdserverpb::CompactionRequest* request,
                                    etcdserverpb::CompactionResponse* response) override;

 private:
  engine::Store& store_;
  const Identity identity_;
  const size_t max_request_bytes_;
};

class LeaseService final : public etcdserverpb::Lease::CallbackService {
 public:
  LeaseService(engine::Store& store, const Identity& identity)
      : store_(store), identity_(identity) {}

  grpc::ServerUnaryReactor* LeaseGrant(grpc::CallbackServerContext* context,
                                       const etcdserverpb::LeaseGrantRequest* request,
                                       etcdserverpb::LeaseGrantResponse* response) override;
  grpc::ServerUnaryReactor* LeaseRevoke(grpc::CallbackServerContext* context,
                                        const etcdserverpb::LeaseRevokeRequest* request,
                                        etcdserverpb::LeaseRevokeResponse* response) override;
  grpc::ServerBidiReactor<etcdserverpb::LeaseKeepAliveRequest,
                          etcdserverpb::LeaseKeepAliveResponse>*
  LeaseKeepAlive(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* LeaseTimeToLive(
      grpc::CallbackServerContext* context, const etcdserverpb::LeaseTimeToLiveRequest* request,
      etcdserverpb::LeaseTimeToLiveResponse* response) override;
  grpc::ServerUnaryReactor* LeaseLeases(grpc::CallbackServerContext* context,
                                        const etcdserverpb::LeaseLeasesRequest* request,
                                        etcdserverpb::LeaseLeasesResponse* response) override;

 private:
  engine::Store& store_;
  const Identity identity_;
};

// A cluster of one, whose membership can't change.
class ClusterService final : public etcdserverpb::Cluster::CallbackService {
 public:
  // `client_urls` is asked at each call: the port is known only after the server listens.
  ClusterService(const engine::Store& store, const Identity& identity, std::string name,
                 std::function<std::vector<std::string>()> client_urls)
      : store_(store),
        identity_(identity),
        name_(std::move(name)),
        client_urls_(std::move(client_urls)) {}

  grpc::ServerUnaryReactor* MemberList(grpc::CallbackServerContext* context,
                                       const etcdserverpb::MemberListRequest* request,
                                       etcdserverpb::MemberListResponse* response) override;

 private:
  const engine::Store& store_;
  const Identity identity_;
  const std::string name_;
  const std::function<std::vector<std::string>()> client_urls_;
};

// There are no users here: clients that have a password learn that they need none, as from an etcd
// whose authentication is off.
class AuthService final : public etcdserverpb::Auth::CallbackService {
 public:
  AuthService(const engine::Store& store, const Identity& identity)
      : store_(store), identity_(identity) {}

  grpc::ServerUnaryReactor* AuthStatus(grpc::CallbackServerContext* context,
                                       const etcdserverpb::AuthStatusRequest* request,
                                       etcdserverpb::AuthStatusResponse* response) override;
  grpc::ServerUnaryReactor* Authenticate(grpc::CallbackServerContext* context,
                                         const etcdserverpb::AuthenticateRequest* request,
                                         etcdserverpb::AuthenticateResponse* response) override;

 private:
  const engine::Store& store_;
  const Identity identity_;
};

}  // namespace strata::rpc
