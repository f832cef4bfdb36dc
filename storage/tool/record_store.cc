#include "storage/tool/record_store.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "proto/etcd/rpc.grpc.pb.h"

namespace strata::tool {
namespace {

namespace etcd = etcdserverpb;

constexpr auto kDeadline = std::chrono::seconds(30);
// While members restart or elect a leader: 0.1, 0.2, … 3.2 seconds.
constexpr int kAttempts = 7;
constexpr auto kFirstPause = std::chrono::milliseconds(100);

base::Status FromGrpc(const grpc::Status& status) {
  return base::Error(static_cast<base::StatusCode>(status.error_code()),
                     fmt::format("the store: {}", status.error_message()));
}

}  // namespace

struct RecordStore::Members {
  std::vector<std::unique_ptr<etcd::KV::Stub>> stubs;
  std::atomic<size_t> current{0};  // the member that answered last

  // Reads may be repeated; a write that may have happened too, since its compares then fail and it
  // is read again.
  template <typename Request, typename Response>
  base::Status Call(grpc::Status (etcd::KV::Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                    const Request& request, Response& response) {
    grpc::Status status;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(kFirstPause * (1 << (attempt - 1)));
      // Each member once, before waiting.
      for (size_t member = 0; member < stubs.size(); ++member) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + kDeadline);
        const size_t asked = current;
        status = (*stubs[asked].*method)(&context, request, &response);
        if (status.error_code() != grpc::StatusCode::UNAVAILABLE) {
          return status.ok() ? base::OkStatus() : FromGrpc(status);
        }
        current = (asked + 1) % stubs.size();
      }
    }
    return FromGrpc(status);
  }
};

RecordStore::RecordStore(std::vector<std::shared_ptr<grpc::Channel>> channels,
                         std::string_view prefix)
    : members_(std::make_unique<Members>()), keys_(prefix) {
  for (const auto& channel : channels) members_->stubs.push_back(etcd::KV::NewStub(channel));
}

RecordStore::~RecordStore() = default;

base::StatusOr<std::vector<RecordStore::Stored>> RecordStore::Read(
    const std::vector<std::string>& keys) {
  etcd::TxnRequest request;
  for (const std::string& key : keys) request.add_success()->mutable_request_range()->set_key(key);
  etcd::TxnResponse response;
  STRATA_RETURN_IF_ERROR(members_->Call(&etcd::KV::Stub::Txn, request, response));
  if (response.responses_size() != static_cast<int>(keys.size()))
    return base::InternalError("the store answered something else");
  std::vector<Stored> all(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    etcd::RangeResponse& range =
        *response.mutable_responses(static_cast<int>(i))->mutable_response_range();
    if (range.kvs_size() == 0) continue;
    all[i].revision = range.kvs(0).mod_revision();
    all[i].value = std::move(*range.mutable_kvs(0)->mutable_value());
  }
  return all;
}

base::StatusOr<bool> RecordStore::Commit(const std::vector<Write>& writes) {
  etcd::TxnRequest request;
  for (const Write& write : writes) {
    etcd::Compare& compare = *request.add_compare();
    compare.set_target(etcd::Compare::MOD);
    compare.set_key(write.key);
    compare.set_mod_revision(write.expected);
    etcd::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(write.key);
    put.set_value(write.value);
  }
  etcd::TxnResponse response;
  STRATA_RETURN_IF_ERROR(members_->Call(&etcd::KV::Stub::Txn, request, response));
  return response.succeeded();
}

base::StatusOr<RecordStore::Page> RecordStore::List(std::string_view begin, std::string_view end,
                                                    size_t limit, base::Revision revision) {
  etcd::RangeRequest request;
  request.set_key(std::string(begin));
  request.set_range_end(std::string(end));
  request.set_limit(static_cast<int64_t>(limit));
  request.set_revision(revision);
  etcd::RangeResponse response;
  STRATA_RETURN_IF_ERROR(members_->Call(&etcd::KV::Stub::Range, request, response));
  Page page;
  page.revision = revision != 0 ? revision : response.header().revision();
  page.more = response.more();
  for (mvccpb::KeyValue& kv : *response.mutable_kvs()) {
    page.entries.push_back(
        {std::move(*kv.mutable_key()), {kv.mod_revision(), std::move(*kv.mutable_value())}});
  }
  return page;
}

}  // namespace strata::tool
