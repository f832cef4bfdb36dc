#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "proto/etcd/rpc.grpc.pb.h"

namespace strata::rpc {

namespace pb = etcdserverpb;

// A watch stream, and what it says as text.
class Watcher {
 public:
  explicit Watcher(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(pb::Watch::NewStub(channel)) {
    context_.AddMetadata("hasleader", "true");
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    stream_ = stub_->Watch(&context_);
  }
  ~Watcher() {
    if (finished_) return;
    context_.TryCancel();
    pb::WatchResponse rest;
    while (stream_->Read(&rest)) {
    }
    (void)stream_->Finish();
  }

  void Create(const pb::WatchCreateRequest& create) {
    pb::WatchRequest request;
    *request.mutable_create_request() = create;
    stream_->Write(request);
  }
  void Cancel(int64_t id) {
    pb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    stream_->Write(request);
  }
  void AskProgress() {
    pb::WatchRequest request;
    request.mutable_progress_request();
    stream_->Write(request);
  }

  pb::WatchResponse Next() {
    pb::WatchResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }

  // "id@revision: created", "id@revision: +key=value(prev) -key", …
  std::string Say() {
    const auto response = Next();
    std::string text = std::to_string(response.watch_id()) + "@" +
                       std::to_string(response.header().revision()) + ":";
    if (response.created()) text += " created";
    if (response.canceled()) text += " canceled";
    if (response.compact_revision() != 0) {
      text += " compacted=" + std::to_string(response.compact_revision());
    }
    if (!response.cancel_reason().empty()) text += " \"" + response.cancel_reason() + "\"";
    for (const auto& event : response.events()) {
      text += event.type() == mvccpb::Event::PUT ? " +" : " -";
      text += event.kv().key() + "=" + event.kv().value() + "@" +
              std::to_string(event.kv().mod_revision());
      if (event.has_prev_kv()) text += "(" + event.prev_kv().value() + ")";
    }
    return text + (response.fragment() ? " ..." : "");
  }

  grpc::Status Finish() {
    finished_ = true;
    return stream_->Finish();
  }

 private:
  bool finished_ = false;
  grpc::ClientContext context_;
  std::unique_ptr<pb::Watch::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>> stream_;
};

inline pb::WatchCreateRequest Prefix(const std::string& key, const std::string& end,
                                     int64_t start = 0) {
  pb::WatchCreateRequest create;
  create.set_key(key);
  create.set_range_end(end);
  create.set_start_revision(start);
  return create;
}

}  // namespace strata::rpc
