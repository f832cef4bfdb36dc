#include "storage/rpc/services.h"

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "storage/engine/errors.h"
#include "storage/engine/snapshot.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* Finish(CallbackServerContext* context, const grpc::Status& status) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

// Encodes what the engine said, under a whole header.
template <typename Result, typename Response>
grpc::Status Respond(const Identity& identity, base::StatusOr<Result> result, Response* response) {
  if (!result.ok()) return ToGrpc(result.status());
  const engine::Revision revision = result->revision;
  Encode(*std::move(result), response);
  identity.Fill(response->mutable_header(), revision);
  return grpc::Status::OK;
}

// Decodes a write and queues it; the store's thread finishes the call.
template <typename EngineResult, typename Request, typename Response>
ServerUnaryReactor* SubmitWrite(engine::Store& store, const Identity& identity,
                                CallbackServerContext* context, const Request& request,
                                Response* response) {
  auto decoded = Decode(request);
  if (!decoded.ok()) return Finish(context, ToGrpc(decoded.status()));
  auto* reactor = context->DefaultReactor();
  store.Submit(*std::move(decoded),
               [reactor, response, identity](base::StatusOr<EngineResult> result) {
                 reactor->Finish(Respond(identity, std::move(result), response));
               });
  return reactor;
}

}  // namespace

ServerUnaryReactor* KvService::Range(CallbackServerContext* context,
                                     const pb::RangeRequest* request, pb::RangeResponse* response) {
  auto decoded = Decode(*request);
  if (!decoded.ok()) return Finish(context, ToGrpc(decoded.status()));
  return Finish(context, Respond(identity_, store_.Range(*decoded), response));
}

ServerUnaryReactor* KvService::Put(CallbackServerContext* context, const pb::PutRequest* request,
                                   pb::PutResponse* response) {
  if (request->ByteSizeLong() > max_request_bytes_) {
    return Finish(context, ToGrpc(engine::RequestTooLarge()));
  }
  return SubmitWrite<engine::PutResult>(store_, identity_, context, *request, response);
}

ServerUnaryReactor* KvService::DeleteRange(CallbackServerContext* context,
                                           const pb::DeleteRangeRequest* request,
                                           pb::DeleteRangeResponse* response) {
  if (request->ByteSizeLong() > max_request_bytes_) {
    return Finish(context, ToGrpc(engine::RequestTooLarge()));
  }
  return SubmitWrite<engine::DeleteResult>(store_, identity_, context, *request, response);
}

ServerUnaryReactor* KvService::Txn(CallbackServerContext* context, const pb::TxnRequest* request,
                                   pb::TxnResponse* response) {
  if (request->ByteSizeLong() > max_request_bytes_) {
    return Finish(context, ToGrpc(engine::RequestTooLarge()));
  }
  return SubmitWrite<engine::TxnResult>(store_, identity_, context, *request, response);
}

ServerUnaryReactor* KvService::Compact(CallbackServerContext* context,
                                       const pb::CompactionRequest* request,
                                       pb::CompactionResponse* response) {
  return SubmitWrite<engine::CompactResult>(store_, identity_, context, *request, response);
}

ServerUnaryReactor* LeaseService::LeaseGrant(CallbackServerContext* context,
                                             const pb::LeaseGrantRequest* request,
                                             pb::LeaseGrantResponse* response) {
  return SubmitWrite<engine::LeaseGrantResult>(store_, identity_, context, *request, response);
}

ServerUnaryReactor* LeaseService::LeaseRevoke(CallbackServerContext* context,
                                              const pb::LeaseRevokeRequest* request,
                                              pb::LeaseRevokeResponse* response) {
  return SubmitWrite<engine::LeaseRevokeResult>(store_, identity_, context, *request, response);
}

ServerUnaryReactor* LeaseService::LeaseTimeToLive(CallbackServerContext* context,
                                                  const pb::LeaseTimeToLiveRequest* request,
                                                  pb::LeaseTimeToLiveResponse* response) {
  auto found = store_.TimeToLive(request->id(), request->keys());
  if (!found.ok()) return Finish(context, ToGrpc(found.status()));
  identity_.Fill(response->mutable_header(), found->revision);
  response->set_id(request->id());
  response->set_ttl(found->ttl);
  response->set_grantedttl(found->granted_ttl);
  for (auto& key : found->keys) response->add_keys(std::move(key));
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* LeaseService::LeaseLeases(CallbackServerContext* context,
                                              const pb::LeaseLeasesRequest* /*request*/,
                                              pb::LeaseLeasesResponse* response) {
  const auto list = store_.ListLeases();
  if (!list.ok()) return Finish(context, ToGrpc(list.status()));
  identity_.Fill(response->mutable_header(), list->revision);
  for (const int64_t id : list->ids) response->add_leases()->set_id(id);
  return Finish(context, grpc::Status::OK);
}

namespace {

// One request, one answer, until the client ends it. Deletes itself.
class KeepAliveStream final
    : public grpc::ServerBidiReactor<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse> {
 public:
  KeepAliveStream(engine::Store& store, const Identity& identity)
      : store_(store), identity_(identity) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    response_.Clear();
    identity_.Fill(response_.mutable_header(), store_.revision());
    response_.set_id(request_.id());
    response_.set_ttl(store_.KeepAlive(request_.id()).value_or(0));
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }

  void OnDone() override { delete this; }

 private:
  engine::Store& store_;
  const Identity identity_;
  pb::LeaseKeepAliveRequest request_;
  pb::LeaseKeepAliveResponse response_;
};

}  // namespace

grpc::ServerBidiReactor<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>*
LeaseService::LeaseKeepAlive(CallbackServerContext* /*context*/) {
  return new KeepAliveStream(store_, identity_);
}

ServerUnaryReactor* ClusterService::MemberList(CallbackServerContext* context,
                                               const pb::MemberListRequest* /*request*/,
                                               pb::MemberListResponse* response) {
  identity_.Fill(response->mutable_header(), store_.revision());
  auto* member = response->add_members();
  member->set_id(identity_.member_id);
  member->set_name(name_);
  for (auto& url : client_urls_()) member->add_clienturls(std::move(url));
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* MaintenanceService::Alarm(CallbackServerContext* context,
                                              const pb::AlarmRequest* request,
                                              pb::AlarmResponse* response) {
  // There are never any: a store that runs out of space says so in each write's answer.
  if (request->action() == pb::AlarmRequest::ACTIVATE) {
    return Finish(context, {grpc::StatusCode::UNIMPLEMENTED, "this store has no alarms"});
  }
  identity_.Fill(response->mutable_header(), store_.revision());
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* MaintenanceService::Status(CallbackServerContext* context,
                                               const pb::StatusRequest* /*request*/,
                                               pb::StatusResponse* response) {
  const auto status = store_.Status();
  if (!status.ok()) return Finish(context, ToGrpc(status.status()));
  identity_.Fill(response->mutable_header(), status->revision);
  response->set_version(kApiVersion);
  response->set_storageversion(kStorageVersion);
  response->set_dbsize(status->size);
  response->set_dbsizeinuse(status->size_in_use);
  response->set_leader(identity_.member_id);
  // There is no log of its own: the revision is what grows with every write.
  response->set_raftindex(static_cast<uint64_t>(status->revision));
  response->set_raftappliedindex(static_cast<uint64_t>(status->revision));
  response->set_raftterm(Identity::kTerm);
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* MaintenanceService::Hash(CallbackServerContext* context,
                                             const pb::HashRequest* /*request*/,
                                             pb::HashResponse* response) {
  const auto hash = store_.Hash(0);
  if (!hash.ok()) return Finish(context, ToGrpc(hash.status()));
  identity_.Fill(response->mutable_header(), hash->revision);
  response->set_hash(hash->hash);
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* MaintenanceService::HashKV(CallbackServerContext* context,
                                               const pb::HashKVRequest* request,
                                               pb::HashKVResponse* response) {
  const auto hash = store_.Hash(request->revision());
  if (!hash.ok()) return Finish(context, ToGrpc(hash.status()));
  identity_.Fill(response->mutable_header(), hash->revision);
  response->set_hash(hash->hash);
  response->set_compact_revision(hash->compact_revision);
  response->set_hash_revision(hash->hash_revision);
  return Finish(context, grpc::Status::OK);
}

namespace {

// Sends a snapshot in pieces and its SHA-256 behind it, as etcd does (v3rpc/maintenance.go). The
// copy is made on a thread of its own, for it waits on the disk.
class SnapshotStream final : public grpc::ServerWriteReactor<pb::SnapshotResponse> {
 public:
  SnapshotStream(const engine::Store& store, const Identity& identity, std::atomic<bool>& busy)
      : store_(store), busy_(busy), digest_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (busy_.exchange(true)) {
      Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "another snapshot is being sent"});
      return;
    }
    identity.Fill(response_.mutable_header(), store.revision());
    response_.set_version(kStorageVersion);
    EVP_DigestInit_ex2(digest_.get(), EVP_sha256(), nullptr);
    copying_ = std::thread([this] { Copy(); });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(grpc::Status::CANCELLED);
    Next();
  }
  void OnDone() override {
    // gRPC may call this from within the copying thread's own last call.
    if (copying_.get_id() == std::this_thread::get_id()) {
      copying_.detach();
    } else if (copying_.joinable()) {
      copying_.join();
    }
    delete this;
  }

 private:
  static constexpr size_t kPiece = 64 << 10;

  void Copy() {
    auto snapshot = store_.TakeSnapshot();
    auto size = snapshot.ok() ? (*snapshot)->size() : snapshot.status();
    if (!size.ok()) return End(ToGrpc(size.status()));
    snapshot_ = *std::move(snapshot);
    size_ = *size;
    Next();
  }

  // The way is free for the next one before the client knows that this one has ended.
  void End(const grpc::Status& status) {
    busy_ = false;
    Finish(status);
  }

  void Next() {
    if (ended_) return End(grpc::Status::OK);
    auto piece = snapshot_->Read(sent_, kPiece);
    if (!piece.ok()) return End(ToGrpc(piece.status()));
    if (piece->empty()) {
      piece->resize(EVP_MAX_MD_SIZE);
      unsigned length = 0;
      EVP_DigestFinal_ex(digest_.get(), reinterpret_cast<unsigned char*>(piece->data()), &length);
      piece->resize(length);
      ended_ = true;
    } else {
      EVP_DigestUpdate(digest_.get(), piece->data(), piece->size());
      sent_ += static_cast<int64_t>(piece->size());
    }
    response_.set_remaining_bytes(static_cast<uint64_t>(size_ - sent_));
    response_.set_blob(*std::move(piece));
    StartWrite(&response_);
  }

  const engine::Store& store_;
  std::atomic<bool>& busy_;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_;
  bool ended_ = false;
  std::unique_ptr<engine::Snapshot> snapshot_;
  int64_t size_ = 0, sent_ = 0;
  pb::SnapshotResponse response_;
  std::thread copying_;
};

}  // namespace

grpc::ServerWriteReactor<pb::SnapshotResponse>* MaintenanceService::Snapshot(
    CallbackServerContext* /*context*/, const pb::SnapshotRequest* /*request*/) {
  return new SnapshotStream(store_, identity_, snapshotting_);
}

ServerUnaryReactor* MaintenanceService::MoveLeader(CallbackServerContext* context,
                                                   const pb::MoveLeaderRequest* /*request*/,
                                                   pb::MoveLeaderResponse* /*response*/) {
  return Finish(context,
                {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: bad leader transferee"});
}

ServerUnaryReactor* MaintenanceService::Defragment(CallbackServerContext* context,
                                                   const pb::DefragmentRequest* /*request*/,
                                                   pb::DefragmentResponse* /*response*/) {
  return Finish(context,
                {grpc::StatusCode::UNIMPLEMENTED,
                 "this store reuses the space that a compaction frees, but doesn't give it "
                 "back to the file system"});
}

ServerUnaryReactor* AuthService::AuthStatus(CallbackServerContext* context,
                                            const pb::AuthStatusRequest* /*request*/,
                                            pb::AuthStatusResponse* response) {
  identity_.Fill(response->mutable_header(), store_.revision());
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* AuthService::Authenticate(CallbackServerContext* context,
                                              const pb::AuthenticateRequest* /*request*/,
                                              pb::AuthenticateResponse* /*response*/) {
  return Finish(context, {grpc::StatusCode::FAILED_PRECONDITION,
                          "etcdserver: authentication is not enabled"});
}

}  // namespace strata::rpc
