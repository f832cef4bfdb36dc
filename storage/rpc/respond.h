// How a unary call ends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <utility>

#include "storage/engine/store.h"
#include "storage/rpc/convert.h"

namespace strata::rpc {

inline grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                        const grpc::Status& status) {
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

// A call whose answer holds records. Lives, and counts them, until the answer is on its way.
class AnsweringCall final : public grpc::ServerUnaryReactor {
 public:
  explicit AnsweringCall(const engine::Store& store) : answer_(store.NewAnswer()) {}
  void OnDone() override { delete this; }

  engine::AnswerBytes& answer() { return answer_; }

 private:
  engine::AnswerBytes answer_;
};

// Decodes a write that may answer records, and queues it; the store's thread finishes the call.
template <typename EngineResult, typename Request, typename Response>
grpc::ServerUnaryReactor* SubmitAnswering(engine::Store& store, const Identity& identity,
                                          const Request& request, Response* response) {
  auto* call = new AnsweringCall(store);
  auto decoded = Decode(request);
  if (!decoded.ok()) {
    call->Finish(ToGrpc(decoded.status()));
    return call;
  }
  store.Submit(*std::move(decoded), call->answer(),
               [call, response, identity](base::StatusOr<EngineResult> result) {
                 call->Finish(Respond(identity, std::move(result), response));
               });
  return call;
}

// The same for a write that answers none.
template <typename EngineResult, typename Request, typename Response>
grpc::ServerUnaryReactor* SubmitWrite(engine::Store& store, const Identity& identity,
                                      grpc::CallbackServerContext* context, const Request& request,
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

}  // namespace strata::rpc
