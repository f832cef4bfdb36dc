#include "storage/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <future>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "storage/rpc/server_fixture_test.h"
#include "test/support/metric.h"

namespace strata::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ServerTest, AnswersUnderAHeaderThatSaysWhoAndWhen) {
  Start();
  EXPECT_EQ(Put("a", "1"), 2);
  grpc::ClientContext context;
  pb::RangeRequest request;
  request.set_key("a");
  pb::RangeResponse response;
  ASSERT_TRUE(kv_->Range(&context, request, &response).ok());
  EXPECT_EQ(response.header().cluster_id(), store_->cluster_id());
  EXPECT_EQ(response.header().member_id(), store_->member_id());
  EXPECT_EQ(response.header().revision(), 2);
  EXPECT_GT(response.header().raft_term(), 0u);
  ASSERT_EQ(response.kvs_size(), 1);
  EXPECT_EQ(response.kvs(0).value(), "1");
  EXPECT_EQ(response.count(), 1);
}

TEST_F(ServerTest, GivesEtcdsCodesWithEtcdsTexts) {
  Start({.max_request_bytes = 1000});
  Put("a", "1");
  Put("a", "2");
  Compact(3);
  const auto range = [&](const pb::RangeRequest& request) {
    grpc::ClientContext context;
    pb::RangeResponse response;
    return Text(kv_->Range(&context, request, &response));
  };
  pb::RangeRequest request;
  EXPECT_EQ(range(request), "3 etcdserver: key is not provided");
  request.set_key("a");
  request.set_revision(2);
  EXPECT_EQ(range(request), "11 etcdserver: mvcc: required revision has been compacted");
  request.set_revision(9);
  EXPECT_EQ(range(request), "11 etcdserver: mvcc: required revision is a future revision");
  request.set_revision(0);
  request.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(9));
  EXPECT_EQ(range(request), "3 etcdserver: invalid sort option");

  grpc::ClientContext put_context;
  pb::PutRequest put;
  put.set_key("a");
  put.set_value(std::string(2000, 'v'));
  pb::PutResponse put_response;
  EXPECT_EQ(Text(kv_->Put(&put_context, put, &put_response)), "3 etcdserver: request is too large");

  grpc::ClientContext txn_context;
  pb::TxnRequest txn;
  txn.add_success();
  pb::TxnResponse txn_response;
  EXPECT_EQ(Text(kv_->Txn(&txn_context, txn, &txn_response)), "3 etcdserver: key not found");

  grpc::ClientContext lease_context;
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(7);
  pb::LeaseRevokeResponse revoked;
  EXPECT_EQ(Text(pb::Lease::NewStub(channel_)->LeaseRevoke(&lease_context, revoke, &revoked)),
            "5 etcdserver: requested lease not found");

  grpc::ClientContext auth_context;
  pb::AuthenticateRequest login;
  pb::AuthenticateResponse token;
  EXPECT_EQ(Text(pb::Auth::NewStub(channel_)->Authenticate(&auth_context, login, &token)),
            "9 etcdserver: authentication is not enabled");
}

TEST_F(ServerTest, DoesKubernetesTransactions) {
  Start();
  // As kube-apiserver updates: if the revision is as I know it, put; else tell me what there is.
  const auto update = [&](int64_t known, const std::string& value) {
    grpc::ClientContext context;
    pb::TxnRequest request;
    auto* compare = request.add_compare();
    compare->set_target(pb::Compare::MOD);
    compare->set_key("k");
    compare->set_mod_revision(known);
    auto* put = request.add_success()->mutable_request_put();
    put->set_key("k");
    put->set_value(value);
    request.add_failure()->mutable_request_range()->set_key("k");
    pb::TxnResponse response;
    EXPECT_TRUE(kv_->Txn(&context, request, &response).ok());
    return response;
  };
  EXPECT_TRUE(update(0, "1").succeeded());
  const auto refused = update(0, "2");
  EXPECT_FALSE(refused.succeeded());
  EXPECT_EQ(refused.header().revision(), 2);
  EXPECT_EQ(refused.responses(0).response_range().kvs(0).mod_revision(), 2);
  const auto done = update(2, "2");
  EXPECT_TRUE(done.succeeded());
  EXPECT_EQ(done.responses(0).response_put().header().revision(), 3);
}

TEST_F(ServerTest, CountsCallsAndTheBytesOfTheirMessages) {
  Start();
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("grpc_server_handled_total{grpc_code=\"OK\","
                        "grpc_method=\"Watch\",grpc_service=\"etcdserverpb.Watch\","
                        "grpc_type=\"bidi_stream\"} 0\n"))
      << "what is open is the difference to those begun, which must be there";
  pb::PutRequest request;
  request.set_key("a");
  request.set_value(std::string(5000, 'v'));
  Put("a", request.value());
  EXPECT_THAT(metrics_.Text(), HasSubstr("client_grpc_received_bytes_total " +
                                         std::to_string(request.ByteSizeLong()) + "\n"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("etcd_server_proposals_applied_total 1\n"));

  grpc::ClientContext context;
  Limit(context);
  pb::RangeRequest range;
  range.set_key("a");
  pb::RangeResponse response;
  ASSERT_TRUE(kv_->Range(&context, range, &response).ok());
  const double sent =
      testing_support::MetricOf(metrics_, "etcd_network_client_grpc_sent_bytes_total");
  EXPECT_GT(sent, response.ByteSizeLong()) << "that of the write too";
  EXPECT_LT(sent, response.ByteSizeLong() + 100);
}

TEST_F(ServerTest, SaysWhyItDoesNotServeAMethod) {
  Start();
  const auto call = [&](const std::string& method) {
    grpc::TemplatedGenericStub<pb::SnapshotRequest, pb::SnapshotRequest> stub(channel_);
    grpc::ClientContext context;
    Limit(context);
    const pb::SnapshotRequest nothing;
    pb::SnapshotRequest response;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, method, {}, &nothing, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    return Text(ended.get_future().get());
  };
  for (const auto& [method, why] : std::vector<std::pair<std::string, std::string>>{
           {"/etcdserverpb.Auth/AuthEnable", "no users"},
           {"/etcdserverpb.Auth/UserAdd", "use client certificates"},
           {"/etcdserverpb.Auth/RoleGrantPermission", "use client certificates"},
           {"/etcdserverpb.Cluster/MemberAdd", "a cluster of one"},
           {"/etcdserverpb.Cluster/MemberPromote", "a cluster of one"},
           {"/etcdserverpb.Maintenance/MoveLeader", "nobody else to lead"},
           {"/etcdserverpb.Maintenance/Downgrade", "no older version"},
           {"/v3lockpb.Lock/Lock", "locks aren't served"},
           {"/v3electionpb.Election/Observe", "elections aren't served"},
           {"/etcdserverpb.KV/RangeStream", "no version of etcd"},
           {"/nobody.Knows/This", "no version of etcd"},
           {"/", "no version of etcd"}}) {
    EXPECT_THAT(call(method), AllOf(StartsWith("12 etcdserver: "), HasSubstr(why))) << method;
  }
  EXPECT_THAT(call("/etcdserverpb.Maintenance/Status"), StartsWith("0 "));
  EXPECT_THAT(call("/grpc.health.v1.Health/Check"), StartsWith("0 "));
}

TEST_F(ServerTest, ListensOnAPortThatItChooses) {
  Start({.listen_urls = {"http://127.0.0.1:0"}});
  const std::string url = server_->urls().at(0);
  EXPECT_NE(url, "http://127.0.0.1:0");
  kv_ = pb::KV::NewStub(
      grpc::CreateChannel(url.substr(sizeof("http://") - 1), grpc::InsecureChannelCredentials()));
  EXPECT_EQ(Put("a", "1"), 2);

  Server second(*store_, {.listen_urls = {url}}, obs::NullLogger(), metrics_);
  EXPECT_TRUE(absl::IsUnavailable(second.Start())) << "the port is taken";
}

TEST_F(ServerTest, RefusesUrlsThatItCannotListenOn) {
  Start();
  for (const char* url : {"127.0.0.1:2379", "http://127.0.0.1", "ftp://127.0.0.1:1", "http://:x",
                          "", "https://127.0.0.1:0"}) {
    Server server(*store_, {.listen_urls = {url}}, obs::NullLogger(), metrics_);
    EXPECT_TRUE(absl::IsInvalidArgument(server.Start())) << url;
  }
}

TEST_F(ServerTest, SaysWhyItCannotListen) {
  Start({.listen_urls = {"http://127.0.0.1:0"}});
  const std::string taken = server_->urls().at(0);
  Server server(*store_, {.listen_urls = {taken}}, obs::NullLogger(), metrics_);
  EXPECT_EQ(base::Message(server.Start()), taken + ": can't listen: Address already in use");
  Server nowhere(*store_, {.listen_urls = {"unix:///none/socket"}}, obs::NullLogger(), metrics_);
  EXPECT_EQ(base::Message(nowhere.Start()),
            "unix:///none/socket: can't listen: No such file or directory");
}

TEST_F(ServerTest, HandsOnConnectionsThatSpeakHttp1AndServesTheOthers) {
  std::mutex mu;
  std::vector<int> handed;
  Start(
      {.listen_urls = {"http://127.0.0.1:0"}, .http = [&](int socket, const sockaddr*, socklen_t) {
         const std::lock_guard lock(mu);
         handed.push_back(socket);
       }});
  const auto count = [&] {
    const std::lock_guard lock(mu);
    return handed.size();
  };
  const std::string url = server_->urls().at(0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto dial = [&] {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return socket;
  };
  const int silent = dial(), slow = dial(), quick = dial();
  ASSERT_EQ(send(quick, "GET /health HTTP/1.1\r\n", 22, 0), 22);
  while (count() < 1) usleep(1000);
  ASSERT_EQ(send(slow, "H", 1, 0), 1);
  // Behind those that say nothing and too little: gRPC is served.
  const auto kv =
      pb::KV::NewStub(grpc::CreateChannel(url.substr(7), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  Limit(context);
  pb::RangeRequest request;
  request.set_key("a");
  pb::RangeResponse response;
  const auto read = kv->Range(&context, request, &response);
  EXPECT_TRUE(read.ok()) << read.error_message();
  EXPECT_EQ(count(), 1u);
  ASSERT_EQ(send(slow, "EAD / HTTP/1.1\r\n", 16, 0), 16);
  while (count() < 2) usleep(1000);
  std::string first(4, '\0');
  EXPECT_EQ(recv(handed[0], first.data(), first.size(), 0), 4) << "nothing was taken from it";
  EXPECT_EQ(first, "GET ");
  for (const int socket : {silent, slow, quick, handed[0], handed[1]}) close(socket);
}

TEST_F(ServerTest, TellsAClientThatSpeaksTlsThatNobodyElseDoes) {
  Start({.listen_urls = {"http://127.0.0.1:0"}});
  const std::string url = server_->urls().at(0);
  const auto kv = pb::KV::NewStub(
      grpc::CreateChannel(url.substr(7), grpc::SslCredentials(grpc::SslCredentialsOptions())));
  grpc::ClientContext context;
  Limit(context);
  pb::RangeResponse response;
  EXPECT_THAT(kv->Range(&context, {}, &response).error_message(), HasSubstr("wrong version number"))
      << "and not that the connection was closed";
}

TEST_F(ServerTest, KeepsLeasesAlive) {
  Start();
  const auto lease = pb::Lease::NewStub(channel_);
  grpc::ClientContext grant_context;
  pb::LeaseGrantRequest grant;
  grant.set_ttl(60);
  pb::LeaseGrantResponse granted;
  ASSERT_TRUE(lease->LeaseGrant(&grant_context, grant, &granted).ok());
  EXPECT_GT(granted.id(), 0);

  grpc::ClientContext context;
  Limit(context);
  const auto stream = lease->LeaseKeepAlive(&context);
  pb::LeaseKeepAliveRequest request;
  pb::LeaseKeepAliveResponse response;
  request.set_id(granted.id());
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.ttl(), 60);
  request.set_id(12345);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.ttl(), 0) << "there is no such lease";
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace strata::rpc
