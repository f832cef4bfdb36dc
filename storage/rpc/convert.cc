#include "storage/rpc/convert.h"

#include <string>
#include <utility>

#include "storage/engine/errors.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;

base::StatusOr<engine::SortOrder> Decode(pb::RangeRequest::SortOrder order) {
  switch (order) {
    case pb::RangeRequest::NONE:
      return engine::SortOrder::kNone;
    case pb::RangeRequest::ASCEND:
      return engine::SortOrder::kAscend;
    case pb::RangeRequest::DESCEND:
      return engine::SortOrder::kDescend;
    default:
      return engine::InvalidSortOption();
  }
}

base::StatusOr<engine::SortTarget> Decode(pb::RangeRequest::SortTarget target) {
  switch (target) {
    case pb::RangeRequest::KEY:
      return engine::SortTarget::kKey;
    case pb::RangeRequest::VERSION:
      return engine::SortTarget::kVersion;
    case pb::RangeRequest::CREATE:
      return engine::SortTarget::kCreate;
    case pb::RangeRequest::MOD:
      return engine::SortTarget::kMod;
    case pb::RangeRequest::VALUE:
      return engine::SortTarget::kValue;
    default:
      return engine::InvalidSortOption();
  }
}

base::StatusOr<engine::Compare::Result> Decode(pb::Compare::CompareResult result) {
  switch (result) {
    case pb::Compare::EQUAL:
      return engine::Compare::Result::kEqual;
    case pb::Compare::GREATER:
      return engine::Compare::Result::kGreater;
    case pb::Compare::LESS:
      return engine::Compare::Result::kLess;
    case pb::Compare::NOT_EQUAL:
      return engine::Compare::Result::kNotEqual;
    default:
      return base::InvalidArgumentError("etcdserver: unknown compare result");
  }
}

// A target whose number isn't given compares with 0.
base::StatusOr<engine::Compare> Decode(const pb::Compare& compare) {
  engine::Compare out;
  STRATA_ASSIGN_OR_RETURN(out.result, Decode(compare.result()));
  out.key = compare.key();
  out.range_end = compare.range_end();
  switch (compare.target()) {
    case pb::Compare::VERSION:
      out.target = engine::Compare::Target::kVersion;
      out.number = compare.version();
      break;
    case pb::Compare::CREATE:
      out.target = engine::Compare::Target::kCreate;
      out.number = compare.create_revision();
      break;
    case pb::Compare::MOD:
      out.target = engine::Compare::Target::kMod;
      out.number = compare.mod_revision();
      break;
    case pb::Compare::VALUE:
      out.target = engine::Compare::Target::kValue;
      out.value = compare.value();
      break;
    case pb::Compare::LEASE:
      out.target = engine::Compare::Target::kLease;
      out.number = compare.lease();
      break;
    default:
      return base::InvalidArgumentError("etcdserver: unknown compare target");
  }
  return out;
}

base::StatusOr<engine::Op> Decode(const pb::RequestOp& op) {
  engine::Op out;
  switch (op.request_case()) {
    case pb::RequestOp::kRequestRange: {
      STRATA_ASSIGN_OR_RETURN(out.request, rpc::Decode(op.request_range()));
      break;
    }
    case pb::RequestOp::kRequestPut: {
      STRATA_ASSIGN_OR_RETURN(out.request, rpc::Decode(op.request_put()));
      break;
    }
    case pb::RequestOp::kRequestDeleteRange: {
      STRATA_ASSIGN_OR_RETURN(out.request, rpc::Decode(op.request_delete_range()));
      break;
    }
    case pb::RequestOp::kRequestTxn: {
      STRATA_ASSIGN_OR_RETURN(out.request, rpc::Decode(op.request_txn()));
      break;
    }
    case pb::RequestOp::REQUEST_NOT_SET:
      break;  // the engine refuses it
  }
  return out;
}

struct OpEncoder {
  pb::ResponseOp* out;
  void operator()(engine::RangeResult result) const {
    Encode(std::move(result), out->mutable_response_range());
  }
  void operator()(engine::PutResult result) const {
    Encode(std::move(result), out->mutable_response_put());
  }
  void operator()(engine::DeleteResult result) const {
    Encode(std::move(result), out->mutable_response_delete_range());
  }
  void operator()(engine::TxnResult result) const {
    Encode(std::move(result), out->mutable_response_txn());
  }
};

}  // namespace

void Identity::Fill(pb::ResponseHeader* header, engine::Revision revision) const {
  header->set_cluster_id(cluster_id);
  header->set_member_id(member_id);
  header->set_revision(revision);
  header->set_raft_term(kTerm);
}

grpc::Status ToGrpc(const base::Status& status) {
  // absl's codes are gRPC's.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(base::Message(status))};
}

base::StatusOr<engine::RangeRequest> Decode(const pb::RangeRequest& request) {
  engine::RangeRequest out;
  out.key = request.key();
  out.range_end = request.range_end();
  out.limit = request.limit();
  out.revision = request.revision();
  STRATA_ASSIGN_OR_RETURN(out.sort_order, Decode(request.sort_order()));
  STRATA_ASSIGN_OR_RETURN(out.sort_target, Decode(request.sort_target()));
  out.keys_only = request.keys_only();
  out.count_only = request.count_only();
  out.min_mod_revision = request.min_mod_revision();
  out.max_mod_revision = request.max_mod_revision();
  out.min_create_revision = request.min_create_revision();
  out.max_create_revision = request.max_create_revision();
  return out;
}

base::StatusOr<engine::PutRequest> Decode(const pb::PutRequest& request) {
  return engine::PutRequest{.key = request.key(),
                            .value = request.value(),
                            .lease = request.lease(),
                            .prev_kv = request.prev_kv(),
                            .ignore_value = request.ignore_value(),
                            .ignore_lease = request.ignore_lease()};
}

base::StatusOr<engine::DeleteRequest> Decode(const pb::DeleteRangeRequest& request) {
  return engine::DeleteRequest{
      .key = request.key(), .range_end = request.range_end(), .prev_kv = request.prev_kv()};
}

base::StatusOr<engine::TxnRequest> Decode(const pb::TxnRequest& request) {
  engine::TxnRequest out;
  for (const auto& compare : request.compare()) {
    STRATA_ASSIGN_OR_RETURN(out.compares.emplace_back(), Decode(compare));
  }
  for (const auto& op : request.success()) {
    STRATA_ASSIGN_OR_RETURN(out.success.emplace_back(), Decode(op));
  }
  for (const auto& op : request.failure()) {
    STRATA_ASSIGN_OR_RETURN(out.failure.emplace_back(), Decode(op));
  }
  return out;
}

base::StatusOr<engine::CompactRequest> Decode(const pb::CompactionRequest& request) {
  return engine::CompactRequest{.revision = request.revision(), .physical = request.physical()};
}

base::StatusOr<engine::LeaseGrantRequest> Decode(const pb::LeaseGrantRequest& request) {
  return engine::LeaseGrantRequest{.id = request.id(), .ttl = request.ttl()};
}

base::StatusOr<engine::LeaseRevokeRequest> Decode(const pb::LeaseRevokeRequest& request) {
  return engine::LeaseRevokeRequest{.id = request.id()};
}

void Encode(engine::KeyValue kv, mvccpb::KeyValue* out) {
  out->set_key(std::move(kv.key));
  out->set_value(std::move(kv.value));
  out->set_create_revision(kv.create_revision);
  out->set_mod_revision(kv.mod_revision);
  out->set_version(kv.version);
  out->set_lease(kv.lease);
}

void Encode(engine::RangeResult result, pb::RangeResponse* out) {
  out->mutable_header()->set_revision(result.revision);
  out->set_more(result.more);
  out->set_count(result.count);
  out->mutable_kvs()->Reserve(static_cast<int>(result.kvs.size()));
  for (auto& kv : result.kvs) Encode(std::move(kv), out->add_kvs());
}

void Encode(engine::PutResult result, pb::PutResponse* out) {
  out->mutable_header()->set_revision(result.revision);
  if (result.prev) Encode(*std::move(result.prev), out->mutable_prev_kv());
}

void Encode(engine::DeleteResult result, pb::DeleteRangeResponse* out) {
  out->mutable_header()->set_revision(result.revision);
  out->set_deleted(result.deleted);
  for (auto& kv : result.prevs) Encode(std::move(kv), out->add_prev_kvs());
}

void Encode(engine::TxnResult result, pb::TxnResponse* out) {
  out->mutable_header();  // etcd leaves it empty inside a transaction
  out->set_succeeded(result.succeeded);
  for (auto& op : result.results) {
    std::visit(OpEncoder{out->add_responses()}, std::move(op.result));
  }
}

void Encode(const engine::CompactResult& result, pb::CompactionResponse* out) {
  out->mutable_header()->set_revision(result.revision);
}

void Encode(const engine::LeaseGrantResult& result, pb::LeaseGrantResponse* out) {
  out->mutable_header()->set_revision(result.revision);
  out->set_id(result.id);
  out->set_ttl(result.ttl);
}

void Encode(const engine::LeaseRevokeResult& result, pb::LeaseRevokeResponse* out) {
  out->mutable_header()->set_revision(result.revision);
}

}  // namespace strata::rpc
