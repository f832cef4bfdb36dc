#include "storage/rpc/services.h"

#include <string>
#include <utility>

#include "storage/engine/errors.h"
#include "storage/rpc/respond.h"

namespace strata::rpc {
namespace pb = etcdserverpb;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

grpc::Status KvService::Read(const pb::RangeRequest& request, engine::AnswerBytes& answer,
                             pb::RangeResponse* response) const {
  const auto decoded = Decode(request);
  if (!decoded.ok()) return ToGrpc(decoded.status());
  return Respond(identity_, store_.Range(*decoded, answer), response);
}

ServerUnaryReactor* KvService::Range(CallbackServerContext* /*context*/,
                                     const pb::RangeRequest* request, pb::RangeResponse* response) {
  auto* call = new AnsweringCall(store_);
  call->Finish(Read(*request, call->answer(), response));
  return call;
}

ServerUnaryReactor* KvService::Put(CallbackServerContext* context, const pb::PutRequest* request,
                                   pb::PutResponse* response) {
  if (request->ByteSizeLong() > max_request_bytes_) {
    return Finish(context, ToGrpc(engine::RequestTooLarge()));
  }
  return SubmitAnswering<engine::PutResult>(store_, identity_, *request, response);
}

ServerUnaryReactor* KvService::DeleteRange(CallbackServerContext* context,
                                           const pb::DeleteRangeRequest* request,
                                           pb::DeleteRangeResponse* response) {
  if (request->ByteSizeLong() > max_request_bytes_) {
    return Finish(context, ToGrpc(engine::RequestTooLarge()));
  }
  return SubmitAnswering<engine::DeleteResult>(store_, identity_, *request, response);
}

ServerUnaryReactor* KvService::Txn(CallbackServerContext* context, const pb::TxnRequest* request,
                                   pb::TxnResponse* response) {
  if (request->ByteSizeLong() > max_request_bytes_) {
    return Finish(context, ToGrpc(engine::RequestTooLarge()));
  }
  return SubmitAnswering<engine::TxnResult>(store_, identity_, *request, response);
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

ServerUnaryReactor* LeaseService::LeaseTimeToLive(CallbackServerContext* /*context*/,
                                                  const pb::LeaseTimeToLiveRequest* request,
                                                  pb::LeaseTimeToLiveResponse* response) {
  auto* call = new AnsweringCall(store_);
  auto found = store_.TimeToLive(request->id(), request->keys(), call->answer());
  if (!found.ok()) {
    call->Finish(ToGrpc(found.status()));
    return call;
  }
  identity_.Fill(response->mutable_header(), found->revision);
  response->set_id(request->id());
  response->set_ttl(found->ttl);
  response->set_grantedttl(found->granted_ttl);
  for (auto& key : found->keys) response->add_keys(std::move(key));
  call->Finish(grpc::Status::OK);
  return call;
}

ServerUnaryReactor* LeaseService::LeaseLeases(CallbackServerContext* /*context*/,
                                              const pb::LeaseLeasesRequest* /*request*/,
                                              pb::LeaseLeasesResponse* response) {
  auto* call = new AnsweringCall(store_);
  const auto list = store_.ListLeases(call->answer());
  if (!list.ok()) {
    call->Finish(ToGrpc(list.status()));
    return call;
  }
  identity_.Fill(response->mutable_header(), list->revision);
  for (const int64_t id : list->ids) response->add_leases()->set_id(id);
  call->Finish(grpc::Status::OK);
  return call;
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
