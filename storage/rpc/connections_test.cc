#include "storage/rpc/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/engine/store_fixture_test.h"
#include "storage/rpc/server.h"

namespace strata::rpc {
namespace {

sockaddr_storage From(const char* address) {
  sockaddr_storage peer{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(peer);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(peer);
  if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
    peer.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
    peer.ss_family = AF_INET6;
  } else {
    peer.ss_family = AF_UNIX;
  }
  return peer;
}

class ConnectionsTest : public testing::Test {
 protected:
  ~ConnectionsTest() override {
    for (const int socket : sockets) close(socket);
  }

  // A socket that stays if it is let in.
  bool Come(const char* address) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connections.Admit(socket, From(address))) {
      sockets.push_back(socket);
      return true;
    }
    close(socket);
    return false;
  }
  int HowManyCome(const char* address) {
    int come = 0;
    while (Come(address)) ++come;
    return come;
  }

  Connections connections{16};
  std::vector<int> sockets;
};

TEST_F(ConnectionsTest, OneAddressLeavesRoomForOthers) {
  EXPECT_EQ(HowManyCome("10.0.0.1"), 12);
  EXPECT_EQ(HowManyCome("10.0.0.2"), 3);
  EXPECT_EQ(HowManyCome("10.0.0.3"), 1);
  EXPECT_EQ(HowManyCome("10.0.0.4"), 0);
  EXPECT_EQ(connections.open(), 16);
  EXPECT_EQ(connections.refused(), 4u);
}

TEST_F(ConnectionsTest, AnAddressIsWhatOneHostHas) {
  EXPECT_EQ(HowManyCome("::ffff:10.0.0.1"), 12);
  EXPECT_FALSE(Come("10.0.0.1"));
  EXPECT_EQ(HowManyCome("2001:db8:0:1::1"), 3);
  EXPECT_FALSE(Come("2001:db8:0:1::2"));
  EXPECT_TRUE(Come("2001:db8:0:2::1"));
}

TEST_F(ConnectionsTest, ThoseOfASocketFileAreOfOneAddress) {
  EXPECT_EQ(HowManyCome("/socket"), 12);
}

TEST_F(ConnectionsTest, WhoeverClosesOneItsPlaceIsFree) {
  ASSERT_EQ(HowManyCome("10.0.0.1"), 12);
  close(sockets.back());
  sockets.pop_back();
  EXPECT_TRUE(Come("10.0.0.1"));
  EXPECT_FALSE(Come("10.0.0.1"));
}

TEST_F(ConnectionsTest, WhatHasTheNumberOfOneThatEndedIsNotTakenForIt) {
  ASSERT_EQ(HowManyCome("10.0.0.1"), 12);
  const int other = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(dup3(other, sockets[0], O_CLOEXEC), sockets[0]);
  ASSERT_EQ(dup3(STDERR_FILENO, sockets[1], O_CLOEXEC), sockets[1]);
  close(other);
  EXPECT_EQ(connections.open(), 10);
}

TEST(Connections, LeaveDescriptorsForFilesAndProbes) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto limit_with = [&](rlim_t descriptors) {
    const rlimit lowered{.rlim_cur = descriptors, .rlim_max = before.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    return Connections(500).limit();
  };
  EXPECT_EQ(limit_with(1000), 500);
  EXPECT_EQ(limit_with(400), 272);
  EXPECT_EQ(limit_with(100), 50);
  setrlimit(RLIMIT_NOFILE, &before);
}

// Clients of a server that say what they like.
class StrangersTest : public testing::Test {
 protected:
  ~StrangersTest() override {
    for (const int socket : sockets) close(socket);
  }
  void Start(Options options) {
    options.listen_urls = {"http://127.0.0.1:0"};
    server.emplace(*store, std::move(options), obs::NullLogger(), metrics);
    const auto started = server->Start();
    ASSERT_TRUE(started.ok()) << started;
    const std::string url = server->urls().front();
    port = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                  grpc::InsecureChannelCredentials());
  }
  // Of an address that no other client has.
  int Connect(std::string_view said) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage own = From("127.0.0.2"), server_address = From("127.0.0.1");
    reinterpret_cast<sockaddr_in&>(server_address).sin_port = htons(port);
    EXPECT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&own), sizeof(sockaddr_in)), 0);
    EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&server_address), sizeof(sockaddr_in)),
              0);
    send(socket, said.data(), said.size(), MSG_NOSIGNAL);
    sockets.push_back(socket);
    return socket;
  }
  static bool Ends(int socket) {
    pollfd end{socket, POLLRDHUP, 0};
    return poll(&end, 1, 20'000) == 1;
  }
  bool Puts() {
    const auto stub = etcdserverpb::KV::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    etcdserverpb::PutRequest request;
    request.set_key("a");
    etcdserverpb::PutResponse response;
    return stub->Put(&context, request, &response).ok();
  }

  engine::StoreFixture store;
  obs::Metrics metrics;
  std::optional<Server> server;
  uint16_t port = 0;
  std::shared_ptr<grpc::Channel> channel;
  std::vector<int> sockets;
};

TEST_F(StrangersTest, ThoseBeyondTheBoundAreClosedAndOthersGoOn) {
  Start({.max_connections = 8, .handshake_timeout = std::chrono::hours(1)});
  for (int i = 0; i < 20; ++i) Connect("PRI");
  for (size_t i = 6; i < sockets.size(); ++i) EXPECT_TRUE(Ends(sockets[i])) << i;
  EXPECT_TRUE(Puts());
  EXPECT_THAT(metrics.Text(), testing::HasSubstr("strata_store_connections_rejected_total 14\n"));
  EXPECT_THAT(metrics.Text(), testing::HasSubstr("\nstrata_store_connections 7\n"));
}

TEST_F(StrangersTest, WhoDoesntFinishHisHandshakeIsGivenUp) {
  Start({.handshake_timeout = std::chrono::milliseconds(200)});
  for (const char* said : {"PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"})
    EXPECT_TRUE(Ends(Connect(said))) << said;
}

}  // namespace
}  // namespace strata::rpc
