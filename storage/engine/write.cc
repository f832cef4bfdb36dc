#include "storage/engine/write.h"

#include <type_traits>
#include <utility>

#include "storage/engine/errors.h"

namespace strata::engine {
namespace {

size_t Bytes(const PutRequest& request) {
  return request.key.size() + request.value.size();
}
size_t Bytes(const DeleteRequest& request) {
  return request.key.size() + request.range_end.size();
}
size_t Bytes(const RangeRequest& request) {
  return request.key.size() + request.range_end.size();
}
// What has no bytes but its own.
template <typename Request>
  requires std::is_trivially_copyable_v<Request>
size_t Bytes(const Request& /*request*/) {
  return 0;
}
size_t Bytes(const TxnRequest& request) {
  size_t bytes = 0;
  for (const Compare& compare : request.compares) {
    bytes += sizeof(Compare) + compare.key.size() + compare.range_end.size() + compare.value.size();
  }
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Op& op : *branch) {
      bytes += sizeof(Op) +
               std::visit([](const auto& request_in) { return Bytes(request_in); }, op.request);
    }
  }
  return bytes;
}

base::StatusOr<PutResult> Do(Mutation& mutation, const PutRequest& request, AnswerBytes& answer) {
  return mutation.Put(request, answer);
}
base::StatusOr<DeleteResult> Do(Mutation& mutation, const DeleteRequest& request,
                                AnswerBytes& answer) {
  return mutation.Delete(request, answer);
}
base::StatusOr<TxnResult> Do(Mutation& mutation, const TxnRequest& request, AnswerBytes& answer) {
  return mutation.Run(request, answer);
}
base::StatusOr<CompactResult> Do(Mutation& mutation, const CompactRequest& request) {
  return mutation.Compact(request);
}
base::StatusOr<LeaseGrantResult> Do(Mutation& mutation, const LeaseGrantRequest& request) {
  return mutation.Grant(request);
}
base::StatusOr<LeaseRevokeResult> Do(Mutation& mutation, const LeaseRevokeRequest& request) {
  return mutation.Revoke(request);
}
base::StatusOr<AlarmResult> Do(Mutation& mutation, const AlarmRequest& request) {
  return mutation.Set(request);
}
// Done outside of the transaction.
base::StatusOr<DefragmentResult> Do(Mutation& mutation, const DefragmentRequest&) {
  return DefragmentResult{.revision = mutation.revision()};
}

template <typename Request, typename Result>
class TypedWrite final : public Write {
 public:
  TypedWrite(Request request, AnswerBytes* answer, Done<Result> done)
      : Write(sizeof(Request) + Bytes(request)),
        request_(std::move(request)),
        answer_(answer),
        done_(std::move(done)) {}

  void Apply(Mutation& mutation) override {
    if constexpr (kAnswersRecords) {
      answer_->Restart();  // perhaps it was done in a transaction that couldn't be committed
      result_ = Do(mutation, request_, *answer_);
    } else {
      result_ = Do(mutation, request_);
    }
  }
  void Refuse(base::Status why) override { result_ = std::move(why); }
  void Answer() override { done_(std::move(result_)); }

  void Committed(State& state) override {
    if (!result_.ok()) return;
    if constexpr (std::is_same_v<Request, LeaseGrantRequest>) {
      state.leases.Add(result_->id, result_->ttl);
    } else if constexpr (std::is_same_v<Request, LeaseRevokeRequest>) {
      state.leases.Remove(request_.id);
    } else if constexpr (std::is_same_v<Request, AlarmRequest>) {
      result_->changed |= state.alarms.Set(request_.alarm, request_.raise);
    }
  }

  Awaits awaits() const override {
    if (!result_.ok()) return Awaits::kNothing;
    if constexpr (std::is_same_v<Request, DefragmentRequest>) return Awaits::kDefragmentation;
    if constexpr (std::is_same_v<Request, CompactRequest>) {
      if (request_.physical) return Awaits::kScrub;
    }
    return Awaits::kNothing;
  }

 private:
  static constexpr bool kAnswersRecords = std::is_same_v<Request, PutRequest> ||
                                          std::is_same_v<Request, DeleteRequest> ||
                                          std::is_same_v<Request, TxnRequest>;

  const Request request_;
  AnswerBytes* const answer_;
  const Done<Result> done_;
  base::StatusOr<Result> result_ = Stopped();
};

}  // namespace

void RefuseAll(const Batch& batch, const base::Status& why) {
  for (const auto& write : batch) write->Refuse(why);
}

void AnswerAll(Batch& batch) {
  for (const auto& write : batch) write->Answer();
  batch.clear();
}

template <typename Request, typename Result>
std::unique_ptr<Write> MakeWrite(Request request, AnswerBytes* answer, Done<Result> done) {
  return std::make_unique<TypedWrite<Request, Result>>(std::move(request), answer, std::move(done));
}

template std::unique_ptr<Write> MakeWrite(PutRequest, AnswerBytes*, Done<PutResult>);
template std::unique_ptr<Write> MakeWrite(DeleteRequest, AnswerBytes*, Done<DeleteResult>);
template std::unique_ptr<Write> MakeWrite(TxnRequest, AnswerBytes*, Done<TxnResult>);
template std::unique_ptr<Write> MakeWrite(CompactRequest, AnswerBytes*, Done<CompactResult>);
template std::unique_ptr<Write> MakeWrite(LeaseGrantRequest, AnswerBytes*, Done<LeaseGrantResult>);
template std::unique_ptr<Write> MakeWrite(LeaseRevokeRequest, AnswerBytes*,
                                          Done<LeaseRevokeResult>);
template std::unique_ptr<Write> MakeWrite(AlarmRequest, AnswerBytes*, Done<AlarmResult>);
template std::unique_ptr<Write> MakeWrite(DefragmentRequest, AnswerBytes*, Done<DefragmentResult>);

}  // namespace strata::engine
