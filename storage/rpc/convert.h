// Between protobuf's messages and the engine's values. What is decoded here isn't trusted: unknown
// enumerators are refused, the rest is for the engine to check.
#pragma once

#include <grpcpp/support/status.h>

#include "lib/base/status.h"
#include "proto/etcd/rpc.pb.h"
#include "storage/engine/types.h"

namespace strata::rpc {

// Who answers: the same in every header.
struct Identity {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  // A cluster of one elects itself once.
  static constexpr uint64_t kTerm = 1;

  void Fill(etcdserverpb::ResponseHeader* header, engine::Revision revision) const;
};

grpc::Status ToGrpc(const base::Status& status);

base::StatusOr<engine::RangeRequest> Decode(const etcdserverpb::RangeRequest& request);
base::StatusOr<engine::PutRequest> Decode(const etcdserverpb::PutRequest& request);
base::StatusOr<engine::DeleteRequest> Decode(const etcdserverpb::DeleteRangeRequest& request);
base::StatusOr<engine::TxnRequest> Decode(const etcdserverpb::TxnRequest& request);
base::StatusOr<engine::CompactRequest> Decode(const etcdserverpb::CompactionRequest& request);
base::StatusOr<engine::LeaseGrantRequest> Decode(const etcdserverpb::LeaseGrantRequest& request);
base::StatusOr<engine::LeaseRevokeRequest> Decode(const etcdserverpb::LeaseRevokeRequest& request);

// All but the header, which only the outermost answer has whole: inside a transaction it holds the
// revision alone.
void Encode(engine::KeyValue kv, mvccpb::KeyValue* out);
void Encode(engine::RangeResult result, etcdserverpb::RangeResponse* out);
void Encode(engine::PutResult result, etcdserverpb::PutResponse* out);
void Encode(engine::DeleteResult result, etcdserverpb::DeleteRangeResponse* out);
void Encode(engine::TxnResult result, etcdserverpb::TxnResponse* out);
void Encode(const engine::CompactResult& result, etcdserverpb::CompactionResponse* out);
void Encode(const engine::LeaseGrantResult& result, etcdserverpb::LeaseGrantResponse* out);
void Encode(const engine::LeaseRevokeResult& result, etcdserverpb::LeaseRevokeResponse* out);

}  // namespace strata::rpc
