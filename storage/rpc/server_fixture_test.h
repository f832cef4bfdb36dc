#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/engine/store.h"
#include "storage/rpc/server.h"
#include "test/support/temp_dir.h"

namespace strata::rpc {

namespace pb = etcdserverpb;

inline const std::string kAll("\0", 1);

// A server over a store of its own, and a client within the process.
class ServerTest : public ::testing::Test {
 protected:
  void Start(Options options = {}, const engine::Options& engine = {}) {
    auto store = engine::Store::Open(dir_.path(), engine, clock_, obs::NullLogger(), metrics_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    server_ = std::make_unique<Server>(*store_, std::move(options), obs::NullLogger(), metrics_);
    const auto started = server_->Start();
    ASSERT_TRUE(started.ok()) << started;
    channel_ = server_->InProcessChannel();
    kv_ = pb::KV::NewStub(channel_);
  }

  void TearDown() override {
    kv_.reset();
    channel_.reset();
    server_.reset();
    store_.reset();
  }

  // Every call of a test has this deadline.
  static void Limit(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }

  int64_t Put(const std::string& key, const std::string& value) {
    grpc::ClientContext context;
    Limit(context);
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    pb::PutResponse response;
    const auto status = kv_->Put(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.header().revision();
  }

  int64_t Delete(const std::string& key) {
    grpc::ClientContext context;
    Limit(context);
    pb::DeleteRangeRequest request;
    request.set_key(key);
    pb::DeleteRangeResponse response;
    EXPECT_TRUE(kv_->DeleteRange(&context, request, &response).ok());
    return response.header().revision();
  }

  void Compact(int64_t revision) {
    grpc::ClientContext context;
    Limit(context);
    pb::CompactionRequest request;
    request.set_revision(revision);
    request.set_physical(true);
    pb::CompactionResponse response;
    EXPECT_TRUE(kv_->Compact(&context, request, &response).ok());
  }

  const testing_support::TempDir dir_;
  base::SystemClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<engine::Store> store_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<pb::KV::Stub> kv_;
};

inline std::string Text(const grpc::Status& status) {
  return std::to_string(status.error_code()) + " " + status.error_message();
}

}  // namespace strata::rpc
