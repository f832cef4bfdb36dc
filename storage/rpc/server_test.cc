#include "storage/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "test/support/no_threads.h"
#include "test/support/temp_dir.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kAll("\0", 1);

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

std::string Text(const grpc::Status& status) {
  return std::to_string(status.error_code()) + " " + status.error_message();
}

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

TEST_F(ServerTest, TellsItsStatusAndItsOneMember) {
  Start({.listen_urls = {"http://127.0.0.1:0"}, .member_name = "one"});
  grpc::ClientContext context;
  pb::StatusResponse status;
  ASSERT_TRUE(pb::Maintenance::NewStub(channel_)->Status(&context, {}, &status).ok());
  EXPECT_EQ(status.version(), "3.6.5");
  EXPECT_EQ(status.leader(), store_->member_id());
  EXPECT_GT(status.dbsize(), 0);
  EXPECT_LE(status.dbsizeinuse(), status.dbsize());
  grpc::ClientContext list_context;
  pb::MemberListResponse list;
  ASSERT_TRUE(pb::Cluster::NewStub(channel_)->MemberList(&list_context, {}, &list).ok());
  ASSERT_EQ(list.members_size(), 1);
  EXPECT_EQ(list.members(0).name(), "one");
  EXPECT_EQ(list.members(0).clienturls(0), server_->urls().at(0));
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
  const std::string text = metrics_.Text(), name = "\netcd_network_client_grpc_sent_bytes_total ";
  const double sent = std::stod(text.substr(text.find(name) + name.size()));
  EXPECT_GT(sent, response.ByteSizeLong()) << "that of the write too";
  EXPECT_LT(sent, response.ByteSizeLong() + 100);
}

TEST_F(ServerTest, SendsASnapshotWithItsDigestOneAtATime) {
  Start();
  const auto maintenance = pb::Maintenance::NewStub(channel_);
  const auto take = [&](std::string& bytes) {
    grpc::ClientContext context;
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    uint64_t remaining = ~uint64_t{0};
    while (stream->Read(&piece)) {
      EXPECT_LE(piece.remaining_bytes(), remaining);
      remaining = piece.remaining_bytes();
      bytes += piece.blob();
    }
    EXPECT_EQ(remaining, 0u);
    return stream->Finish();
  };
  for (int round = 0; round < 3; ++round) {
    std::string bytes;
    ASSERT_TRUE(take(bytes).ok());
    EXPECT_EQ(bytes.size() % 512, 32u) << "whole pages and a SHA-256";
  }
  // Who leaves in the middle leaves the way free.
  {
    grpc::ClientContext context;
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    EXPECT_TRUE(stream->Read(&piece));
    context.TryCancel();
    (void)stream->Finish();
  }
  grpc::Status last;
  for (int i = 0; i < 100 && (i == 0 || !last.ok()); ++i) {
    std::string bytes;
    grpc::ClientContext context;
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    while (stream->Read(&piece)) bytes += piece.blob();
    last = stream->Finish();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(last.ok()) << last.error_message();
}

TEST_F(ServerTest, ASnapshotWhoseClientTakesNothingIsGivenUp) {
  Start({.snapshot_patience = absl::Milliseconds(200)});
  const auto maintenance = pb::Maintenance::NewStub(channel_);
  grpc::ClientContext idle;
  Limit(idle);
  const auto stream = maintenance->Snapshot(&idle, {});
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // The client may hear of it first.
  grpc::Status last;
  for (int i = 0; i < 100 && (i == 0 || !last.ok()); ++i) {
    grpc::ClientContext context;
    Limit(context);
    const auto other = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    while (other->Read(&piece)) {
    }
    last = other->Finish();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(last.ok()) << last.error_message();
}

TEST_F(ServerTest, ASnapshotThatIsDeniedAThreadSaysSoAndLeavesTheWayFree) {
  Start();
  const auto maintenance = pb::Maintenance::NewStub(channel_);
  const auto take = [&] {
    grpc::ClientContext context;
    Limit(context);
    const auto stream = maintenance->Snapshot(&context, {});
    pb::SnapshotResponse piece;
    while (stream->Read(&piece)) {
    }
    return stream->Finish();
  };
  ASSERT_TRUE(take().ok());
  {
    const testing_support::NoThreads denied;
    EXPECT_THAT(Text(take()), StartsWith("8 a thread for the snapshot is denied"));
  }
  EXPECT_TRUE(take().ok());
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

pb::WatchCreateRequest Prefix(const std::string& key, const std::string& end, int64_t start = 0) {
  pb::WatchCreateRequest create;
  create.set_key(key);
  create.set_range_end(end);
  create.set_start_revision(start);
  return create;
}

TEST_F(ServerTest, AWatchSeesWhatComesAfterIt) {
  Start();
  Put("a", "0");
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", "b"));
  EXPECT_EQ(watcher.Say(), "0@2: created");
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "0@3: +a=1@3");
  Put("x", "1");
  Delete("a");
  EXPECT_EQ(watcher.Say(), "0@5: -a=@5");
}

TEST_F(ServerTest, AWatchFromThePastSeesTheHistoryThenThePresent) {
  Start();
  Put("a", "0");
  Put("b", "0");
  Put("a", "1");
  Delete("a");
  Watcher watcher(channel_);
  auto create = Prefix("a", "", 2);
  create.set_prev_kv(true);
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "0@5: created");
  EXPECT_EQ(watcher.Say(), "0@5: +a=0@2 +a=1@4(0) -a=@5(1)");
  Put("a", "2");
  EXPECT_EQ(watcher.Say(), "0@6: +a=2@6");
}

TEST_F(ServerTest, AWatchFromTheFutureWaitsForIt) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix(kAll, kAll, 4));
  EXPECT_EQ(watcher.Say(), "0@1: created");
  Put("a", "2");
  Put("a", "3");
  Put("a", "4");
  EXPECT_EQ(watcher.Say(), "0@4: +a=4@4");
}

TEST_F(ServerTest, ATransactionComesInOneAnswer) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix("", kAll));
  watcher.Say();
  grpc::ClientContext context;
  pb::TxnRequest request;
  for (const char* key : {"c", "a", "b"})
    request.add_success()->mutable_request_put()->set_key(key);
  pb::TxnResponse response;
  ASSERT_TRUE(kv_->Txn(&context, request, &response).ok());
  EXPECT_EQ(watcher.Say(), "0@2: +c=@2 +a=@2 +b=@2");
}

TEST_F(ServerTest, FiltersKeepEventsAway) {
  Start();
  Watcher watcher(channel_);
  auto no_put = Prefix("a", "");
  no_put.add_filters(pb::WatchCreateRequest::NOPUT);
  auto no_delete = Prefix("a", "");
  no_delete.add_filters(pb::WatchCreateRequest::NODELETE);
  watcher.Create(no_put);
  watcher.Create(no_delete);
  watcher.Say();
  watcher.Say();
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "1@2: +a=1@2");
  Delete("a");
  EXPECT_EQ(watcher.Say(), "0@3: -a=@3");
}

TEST_F(ServerTest, WatchIdsAreChosenOrGivenAndNotGivenTwice) {
  Start();
  Watcher watcher(channel_);
  auto create = Prefix("a", "");
  create.set_watch_id(7);
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "7@1: created");
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(),
            "-1@1: created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"");
  create.set_watch_id(0);
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "0@1: created");
  watcher.Create(create);
  EXPECT_EQ(watcher.Say(), "1@1: created");
  watcher.Create(Prefix("b", "a"));
  EXPECT_EQ(watcher.Say(), "-1@1: created canceled \"mvcc: watcher range is empty\"");
}

TEST_F(ServerTest, ACanceledWatchIsSilent) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", ""));
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  watcher.Say();
  watcher.Cancel(0);
  watcher.Cancel(99);
  EXPECT_EQ(watcher.Say(), "0@1: canceled");
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "1@2: +a=1@2");
}

TEST_F(ServerTest, AWatchBelowTheCompactedRevisionIsToldAndCanceled) {
  Start();
  for (int i = 0; i < 5; ++i) Put("a", std::to_string(i));
  Compact(4);
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", "", 3));
  EXPECT_EQ(watcher.Say(), "0@6: created");
  EXPECT_EQ(watcher.Say(), "0@6: canceled compacted=4");
  watcher.Create(Prefix("a", "", 4));
  EXPECT_EQ(watcher.Say(), "1@6: created");
  EXPECT_EQ(watcher.Say(), "1@6: +a=2@4 +a=3@5 +a=4@6");
}

TEST_F(ServerTest, ProgressCoversRevisionsWithoutEvents) {
  Start();
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  const int64_t revision = Put("elsewhere", "1");
  watcher.AskProgress();
  EXPECT_EQ(watcher.Say(), "-1@" + std::to_string(revision) + ":");
  Put("a", "1");
  EXPECT_EQ(watcher.Say(), "0@3: +a=1@3");
}

TEST_F(ServerTest, ProgressNeverOvertakesEvents) {
  Start();
  for (int i = 0; i < 300; ++i) Put("a", std::string(20'000, 'v'));
  Watcher watcher(channel_);
  watcher.Create(Prefix("b", "c"));
  watcher.Create(Prefix("a", "", 1));
  watcher.AskProgress();
  watcher.Say();
  watcher.Say();
  int64_t last = 0;
  for (auto response = watcher.Next(); !HasFailure(); response = watcher.Next()) {
    if (response.watch_id() == -1) {
      EXPECT_EQ(response.header().revision(), 301);
      break;
    }
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().mod_revision(), std::max<int64_t>(last + 1, 2));
      last = event.kv().mod_revision();
    }
  }
  EXPECT_EQ(last, 301);
}

TEST_F(ServerTest, QuietWatchesThatAskForItHearOfProgress) {
  Options options;
  options.watch.progress_interval = std::chrono::milliseconds(100);
  Start(options);
  Put("x", "1");
  Watcher watcher(channel_);
  auto create = Prefix("a", "");
  create.set_progress_notify(true);
  watcher.Create(create);
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  watcher.Say();
  EXPECT_EQ(watcher.Say(), "0@2:");
  Put("x", "2");
  std::string said = watcher.Say();
  while (said == "0@2:" && !HasFailure()) said = watcher.Say();
  EXPECT_EQ(said, "0@3:");
}

TEST_F(ServerTest, LargeAnswersAreSplitForWatchesThatAllowIt) {
  Options options;
  options.watch.fragment_bytes = 3000;
  Start(options);
  Watcher watcher(channel_);
  auto create = Prefix("", kAll);
  watcher.Create(create);
  create.set_fragment(true);
  watcher.Create(create);
  watcher.Say();
  watcher.Say();
  grpc::ClientContext context;
  pb::TxnRequest request;
  for (const char* key : {"a", "b", "c"}) {
    auto* put = request.add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(std::string(1200, 'v'));
  }
  pb::TxnResponse response;
  ASSERT_TRUE(kv_->Txn(&context, request, &response).ok());
  const auto whole = watcher.Next();
  EXPECT_EQ(whole.watch_id(), 0);
  EXPECT_EQ(whole.events_size(), 3);
  const auto first = watcher.Next();
  EXPECT_EQ(first.watch_id(), 1);
  EXPECT_TRUE(first.fragment());
  EXPECT_EQ(first.events_size(), 2);
  const auto second = watcher.Next();
  EXPECT_FALSE(second.fragment());
  EXPECT_EQ(second.events_size(), 1);
}

// As etcd's stream does that can't send one: a revision is never split between answers but for
// those who allow it.
TEST_F(ServerTest, ARevisionThatNoAnswerHoldsEndsTheStreamThatWantsIt) {
  Start({.watch = {.step_bytes = 1000}}, {.max_answer_bytes = 100'000});
  for (int i = 0; i < 10; ++i) Put("k" + std::to_string(i), std::string(30'000, 'v'));
  Watcher with_prev(channel_), plain(channel_);
  auto create = Prefix("k", "l");
  plain.Create(create);
  create.set_prev_kv(true);
  with_prev.Create(create);
  plain.Say();
  with_prev.Say();
  grpc::ClientContext context;
  pb::DeleteRangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  pb::DeleteRangeResponse response;
  ASSERT_TRUE(kv_->DeleteRange(&context, request, &response).ok());
  EXPECT_EQ(plain.Next().events_size(), 10);
  EXPECT_THAT(Text(with_prev.Finish()),
              StartsWith("8 grpc: trying to send message larger than max ("));
}

TEST_F(ServerTest, AClientThatDoesNotReadMissesNothingAndHoldsNobodyUp) {
  Start();
  Watcher slow(channel_);
  slow.Create(Prefix("a", ""));
  slow.Say();
  Watcher quick(channel_);
  quick.Create(Prefix("a", ""));
  quick.Say();
  int64_t seen = 1;
  for (int i = 0; i < 200; ++i) {
    const int64_t revision = Put("a", std::string(50'000, 'v'));
    while (seen < revision && !HasFailure()) {
      const auto response = quick.Next();
      for (const auto& event : response.events()) {
        EXPECT_EQ(event.kv().mod_revision(), seen + 1);
        seen = event.kv().mod_revision();
      }
    }
  }
  int64_t late = 1;
  while (late < seen && !HasFailure()) {
    const auto response = slow.Next();
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().mod_revision(), late + 1);
      late = event.kv().mod_revision();
    }
  }
}

TEST_F(ServerTest, CommitsGatherWhileManyWatchesWereJustAnswered) {
  Options options;
  options.watch.many_answers = 3;
  options.watch.answer_time = std::chrono::milliseconds(700);
  Start(options);
  Watcher watcher(channel_);
  for (int i = 0; i < 3; ++i) watcher.Create(Prefix("a", ""));
  for (int i = 0; i < 3; ++i) watcher.Say();
  Put("a", "0");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(watcher.Say(), std::to_string(i) + "@2: +a=0@2") << "at once";
  Put("a", "1");
  Put("b", "1");
  Delete("a");
  Put("a", "2");
  watcher.AskProgress();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(watcher.Say(), std::to_string(i) + "@6: +a=1@3 -a=@5 +a=2@6");
  EXPECT_EQ(watcher.Say(), "-1@6:") << "progress waits for what it covers";
}

TEST_F(ServerTest, ManyWatchesMissNothingWhileCommitsGather) {
  Start();
  constexpr int64_t kWatches = 300, kLast = 201;
  Watcher watcher(channel_);
  for (int64_t i = 0; i < kWatches; ++i) {
    watcher.Create(Prefix("a", ""));
    watcher.Say();
  }
  std::thread writer([&] {
    while (Put("a", "v") < kLast) {
    }
  });
  std::vector<int64_t> seen(kWatches, 1);
  for (int64_t done = 0; done < kWatches && !HasFailure();) {
    const auto response = watcher.Next();
    int64_t& last = seen.at(static_cast<size_t>(response.watch_id()));
    for (const auto& event : response.events()) EXPECT_EQ(event.kv().mod_revision(), ++last);
    EXPECT_GE(response.header().revision(), last);
    if (last == kLast) ++done;
  }
  writer.join();
}

TEST_F(ServerTest, FewWatchesNeverWait) {
  Options options;
  options.watch.many_answers = 3;
  options.watch.answer_time = std::chrono::hours(1);
  Start(options);
  Watcher watcher(channel_);
  for (int i = 0; i < 2; ++i) watcher.Create(Prefix("a", ""));
  watcher.Create(Prefix("b", ""));
  for (int i = 0; i < 3; ++i) watcher.Say();
  for (int64_t revision = 2; revision < 20; ++revision) {
    ASSERT_EQ(Put("a", "v"), revision);
    const std::string said = "@" + std::to_string(revision) + ": +a=v@" + std::to_string(revision);
    EXPECT_EQ(watcher.Say(), "0" + said);
    EXPECT_EQ(watcher.Say(), "1" + said);
  }
}

TEST_F(ServerTest, WatchesBeyondTheBoundsAreRefusedWithTheReason) {
  Options options;
  options.watch.max_streams = 1;
  options.watch.max_watches_per_stream = 1;
  Start(options);
  Watcher watcher(channel_);
  watcher.Create(Prefix("a", ""));
  watcher.Say();
  watcher.Create(Prefix("a", ""));
  EXPECT_EQ(watcher.Say(), "-1@1: created canceled \"etcdserver: too many watches on the stream\"");

  const auto stub = pb::Watch::NewStub(channel_);
  grpc::ClientContext context;
  Limit(context);
  const auto second = stub->Watch(&context);
  pb::WatchResponse response;
  EXPECT_FALSE(second->Read(&response));
  EXPECT_EQ(Text(second->Finish()), "8 etcdserver: too many watch streams");
}

TEST_F(ServerTest, ShutdownEndsWatchesAtOnce) {
  Start();
  auto stub = pb::Watch::NewStub(channel_);
  grpc::ClientContext context;
  Limit(context);
  const auto stream = stub->Watch(&context);
  pb::WatchRequest request;
  *request.mutable_create_request() = Prefix("a", "");
  stream->Write(request);
  pb::WatchResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Shutdown(absl::Seconds(30));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace strata::rpc
