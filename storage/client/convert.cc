#include "storage/client/convert.h"

#include <optional>
#include <utility>

namespace strata::client {
namespace {

namespace pb = etcdserverpb;

void Encode(const Compare& compare, pb::Compare& out) {
  using enum Compare::Target;
  out.set_key(compare.key);
  switch (compare.target) {
    case kModRevision:
      out.set_target(pb::Compare::MOD);
      out.set_mod_revision(compare.number);
      break;
    case kCreateRevision:
      out.set_target(pb::Compare::CREATE);
      out.set_create_revision(compare.number);
      break;
    case kVersion:
      out.set_target(pb::Compare::VERSION);
      out.set_version(compare.number);
      break;
    case kValue:
      out.set_target(pb::Compare::VALUE);
      out.set_value(compare.value);
      break;
  }
  switch (compare.result) {
    case Compare::Result::kEqual:
      out.set_result(pb::Compare::EQUAL);
      break;
    case Compare::Result::kGreater:
      out.set_result(pb::Compare::GREATER);
      break;
    case Compare::Result::kLess:
      out.set_result(pb::Compare::LESS);
      break;
    case Compare::Result::kNotEqual:
      out.set_result(pb::Compare::NOT_EQUAL);
      break;
  }
}

struct OperationEncoder {
  pb::RequestOp& out;

  void operator()(const Put& put) const {
    out.mutable_request_put()->set_key(put.key);
    out.mutable_request_put()->set_value(put.value);
  }
  void operator()(const DeleteOptions& options) const {
    *out.mutable_request_delete_range() = client::Encode(options);
  }
  void operator()(const RangeOptions& options) const {
    *out.mutable_request_range() = client::Encode(options);
  }
};

// Nothing if it isn't what the operation is answered with.
struct OperationDecoder {
  pb::ResponseOp& response;

  std::optional<OperationResult> operator()(const Put&) const {
    if (!response.has_response_put()) return std::nullopt;
    return PutResult{};
  }
  std::optional<OperationResult> operator()(const DeleteOptions&) const {
    if (!response.has_response_delete_range()) return std::nullopt;
    return client::Decode(response.response_delete_range());
  }
  std::optional<OperationResult> operator()(const RangeOptions&) const {
    if (!response.has_response_range()) return std::nullopt;
    return client::Decode(std::move(*response.mutable_response_range()));
  }
};

}  // namespace

pb::RangeRequest Encode(const RangeOptions& options) {
  pb::RangeRequest request;
  request.set_key(options.key);
  if (!options.end.empty()) request.set_range_end(options.end);
  request.set_limit(options.limit);
  request.set_revision(options.revision);
  request.set_keys_only(options.keys_only);
  request.set_count_only(options.count_only);
  if (options.newest_first) {
    request.set_sort_order(pb::RangeRequest::DESCEND);
    request.set_sort_target(pb::RangeRequest::MOD);
  }
  return request;
}

pb::DeleteRangeRequest Encode(const DeleteOptions& options) {
  pb::DeleteRangeRequest request;
  request.set_key(options.key);
  request.set_range_end(options.end);
  return request;
}

pb::TxnRequest Encode(const Txn& txn) {
  pb::TxnRequest request;
  for (const Compare& compare : txn.compares) Encode(compare, *request.add_compare());
  for (const Operation& one : txn.success)
    std::visit(OperationEncoder{*request.add_success()}, one);
  for (const Operation& one : txn.failure)
    std::visit(OperationEncoder{*request.add_failure()}, one);
  return request;
}

RangeResult Decode(pb::RangeResponse response) {
  RangeResult result;
  result.kvs.reserve(response.kvs_size());
  for (auto& kv : *response.mutable_kvs()) {
    result.kvs.push_back({std::move(*kv.mutable_key()), std::move(*kv.mutable_value()),
                          kv.create_revision(), kv.mod_revision()});
  }
  result.more = response.more();
  result.count = response.count();
  result.revision = response.header().revision();
  result.cluster_id = response.header().cluster_id();
  result.raft_term = response.header().raft_term();
  return result;
}

DeleteResult Decode(const pb::DeleteRangeResponse& response) {
  return {.deleted = response.deleted(), .revision = response.header().revision()};
}

base::StatusOr<TxnResult> Decode(const Txn& txn, pb::TxnResponse response) {
  const auto another = [] { return base::InternalError("the store answered another transaction"); };
  TxnResult result{.succeeded = response.succeeded(), .revision = response.header().revision()};
  const std::vector<Operation>& done = result.succeeded ? txn.success : txn.failure;
  if (response.responses_size() != static_cast<int>(done.size())) return another();
  result.results.reserve(done.size());
  for (int i = 0; i < response.responses_size(); ++i) {
    auto one = std::visit(OperationDecoder{*response.mutable_responses(i)}, done[i]);
    if (!one.has_value()) return another();
    result.results.push_back(*std::move(one));
  }
  return result;
}

}  // namespace strata::client
