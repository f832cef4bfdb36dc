// A handler that finds no memory: gRPC passes on what it throws.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <new>

#include "lib/base/process.h"
#include "proto/etcd/rpc.grpc.pb.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;

class DeniedKv final : public pb::KV::CallbackService {
  grpc::ServerUnaryReactor* Range(grpc::CallbackServerContext* /*context*/,
                                  const pb::RangeRequest* /*request*/,
                                  pb::RangeResponse* /*response*/) override {
    throw std::bad_alloc();
  }
};

class DeniedStream final : public grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse> {
 public:
  DeniedStream() { StartRead(&request_); }
  void OnReadDone(bool /*ok*/) override { throw std::bad_alloc(); }
  void OnDone() override { delete this; }

 private:
  pb::WatchRequest request_;
};

class DeniedWatch final : public pb::Watch::CallbackService {
  grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse>* Watch(
      grpc::CallbackServerContext* /*context*/) override {
    return new DeniedStream;
  }
};

// Calls `call` with a channel to `service`; it has 20 seconds.
template <typename Call>
void CallDenied(grpc::Service& service, const Call& call) {
  base::EndWhereTheSystemDenies();
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  call(server->InProcessChannel({}), context);
}

class DeniedDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(DeniedDeathTest, AHandlerWithoutMemoryEndsTheProcessWhichSaysSo) {
  DeniedKv service;
  EXPECT_EXIT(CallDenied(service,
                         [](const auto& channel, grpc::ClientContext& context) {
                           pb::RangeResponse response;
                           (void)pb::KV::NewStub(channel)->Range(&context, {}, &response);
                         }),
              ::testing::ExitedWithCode(1), "memory is denied");
}

TEST_F(DeniedDeathTest, SoDoesAStreamThatReadsOn) {
  DeniedWatch service;
  EXPECT_EXIT(CallDenied(service,
                         [](const auto& channel, grpc::ClientContext& context) {
                           const auto stream = pb::Watch::NewStub(channel)->Watch(&context);
                           pb::WatchResponse response;
                           if (stream->Write({})) stream->Read(&response);
                         }),
              ::testing::ExitedWithCode(1), "memory is denied");
}

}  // namespace
}  // namespace strata::rpc
