#include "lib/transport/net/server.h"

#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "lib/transport/net/server_fixture_test.h"

namespace strata::net {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, AFaultOfAProtocolEndsItsConnectionAlone) {
  Start();
  TlsClient bystander(port_);
  EXPECT_EQ(Ask(bystander, "hello"), "hello\n");
  for (const char* line : {"fault", "faulty"}) {
    TlsClient client(port_);
    EXPECT_EQ(Ask(client, line), "");
  }
  WaitForMetric("strata_connections_rejected_total{reason=\"fault\"}", 2);
  EXPECT_EQ(Ask(bystander, "hello"), "hello\n");
}

TEST_F(ServerTest, SendsMoreThanTheClientReadsAtOnce) {
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  client.Write("big 8000000\n");
  const std::string all = client.Read(8'000'000);
  ASSERT_EQ(all.size(), 8'000'000u);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<char>('a' + i % 26)) << i;
  EXPECT_EQ(Ask(client, "next"), "next\n");
}

TEST_F(ServerTest, ServesOthersWhileOneReadsNothing) {
  options_.io_threads = 1;
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 50000000\n");
  TlsClient client(port_);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Ask(client, "hello"), "hello\n");
  EXPECT_GE(made_, 16u << 10);
  EXPECT_LT(made_, 25'000'000u) << "more than the sockets hold is made when that is read";
}

TEST_F(ServerTest, ToleratesConnectionsThatComeToNothing) {
  Start();
  for (int i = 0; i < 50; ++i) {
    TlsClient silent(port_, {.handshake = false});
    TlsClient noise(port_, {.handshake = false});
    EXPECT_EQ(send(noise.fd(), "\x16\x03\x01\xff\xff garbage", 13, 0), 13);
    TlsClient gone(port_);
    gone.Write("hold\n");
  }
  WaitForMetric("strata_connections{protocol=\"handshake\"}", 0);
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
  TlsClient client(port_);
  EXPECT_EQ(Ask(client, "hello"), "hello\n");
}

TEST_F(ServerTest, AClientThatIsGoneBeforeALongAnswerEndsItsConnectionAlone) {
  Start();
  auto gone = std::make_unique<TlsClient>(port_);
  gone->Write("hold\n");
  WaitForHeld(1);
  absl::Notification reset;
  {
    absl::MutexLock lock(&mu_);
    // Its thread learns of it by what it sends.
    held_[0].executor->Post([&reset, held = held_[0].protocol] {
      reset.WaitForNotification();
      held->Answer("big 1000000");
    });
  }
  const linger at_once{1, 0};
  setsockopt(gone->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  gone.reset();
  reset.Notify();
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
  TlsClient client(port_);
  EXPECT_EQ(Ask(client, "hello"), "hello\n");
}

TEST_F(ServerTest, SaysGoodbyeAfterTheLastByte) {
  Start();
  TlsClient client(port_);
  client.Write("big 1000000\nbye\n");
  EXPECT_EQ(client.Read(1'000'000).size(), 1'000'000u);
  char c;
  const int n = SSL_read(client.ssl(), &c, 1);
  EXPECT_EQ(SSL_get_error(client.ssl(), n), SSL_ERROR_ZERO_RETURN);
}

// A turn makes the whole answer, and the socket doesn't take it.
TEST_F(ServerTest, TheLastAnswerGoesOutWholeToAClientThatHasClosedItsSide) {
  options_.connection.turn_bytes = 32 << 20;
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  client.Write("big 16000000\nbye\n");
  shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(client.Read(16'000'000).size(), 16'000'000u);
  EXPECT_TRUE(client.ReadEnd());
}

TEST_F(ServerTest, WhatIsTooMuchForATurnWaitsForOthers) {
  options_.io_threads = 1;
  Start();
  TlsClient busy(port_);
  busy.Write("turns\n");
  WaitForHeld(1);
  TlsClient bystander(port_);
  EXPECT_EQ(Ask(bystander, "hello"), "hello\n");
  EXPECT_EQ(busy.ReadUntil("\n"), "three turns\n");
  ReleaseAll();
  EXPECT_EQ(busy.ReadUntil("\n"), "released\n");
}

TEST_F(ServerTest, AnswersThatComeFromOtherThreadsGoOut) {
  Start();
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<TlsClient>(port_));
    clients.back()->Write("hold\n");
  }
  WaitForHeld(20);
  ReleaseAll();
  for (const auto& client : clients) EXPECT_EQ(client->ReadUntil("\n"), "released\n");
}

TEST_F(ServerTest, RunsTasksInTheirOrderAndDropsThemOnceItHasStopped) {
  Start();
  TlsClient client(port_);
  client.Write("hold\n");
  WaitForHeld(1);
  std::shared_ptr<Executor> executor;
  {
    absl::MutexLock lock(&mu_);
    executor = held_[0].executor;
  }
  std::vector<int> order;
  bool in_thread = false;
  executor->Post([&] {
    absl::MutexLock lock(&mu_);
    order.push_back(1);
    in_thread = executor->InThread();
  });
  executor->Post([&] {
    absl::MutexLock lock(&mu_);
    order.push_back(2);
  });
  {
    const auto done = [&] { return order.size() == 2; };
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&done), absl::Seconds(10)));
    EXPECT_THAT(order, ::testing::ElementsAre(1, 2));
    EXPECT_TRUE(in_thread);
  }
  EXPECT_FALSE(executor->InThread());
  server_->Stop();
  const auto token = std::make_shared<int>(1);
  executor->Post([token] {});
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(ServerTest, DrainsTheIdleAtOnceAndTheBusyWhenTheyAreDone) {
  options_.connection.linger_timeout = milliseconds(20);
  Start();
  TlsClient idle(port_), busy(port_), silent(port_, {.handshake = false});
  EXPECT_EQ(Ask(idle, "x"), "x\n");
  busy.Write("hold\n");
  WaitForHeld(1);
  size_t left = 3;
  for (int i = 0; left > 1 && i < 20; ++i) left = server_->Drain(milliseconds(500));
  EXPECT_EQ(left, 1u);
  EXPECT_TRUE(idle.ReadEnd());
  EXPECT_FALSE(TlsClient(port_, {.handshake = false}).connected());
  ReleaseAll();
  EXPECT_EQ(busy.ReadUntil("\n"), "released\n");
  EXPECT_TRUE(busy.ReadEnd());
  EXPECT_EQ(server_->Drain(seconds(10)), 0u);
}

TEST_F(ServerTest, ADrainDoesNotWaitForHandshakesThatDoNotEnd) {
  options_.drain_idle_patience = milliseconds(50);
  Start();
  TlsClient half(port_, {.handshake = false});
  send(half.fd(), "\x16\x03\x01\x02\0", 5, MSG_NOSIGNAL);
  WaitForMetric("strata_network_bytes_total{direction=\"received\"}", 5);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(server_->Drain(seconds(60)), 0u);
  // The handshake's own limit is longer.
  EXPECT_LT(std::chrono::steady_clock::now() - start, options_.connection.handshake_timeout);
}

TEST_F(ServerTest, ListensOnAllOrNothing) {
  Start();
  Server other(options_, *credentials_, nullptr, clock_, obs::NullLogger(), metrics_);
  EXPECT_THAT(std::string(base::Message(other.Start({{"127.0.0.1", 0}, {"127.0.0.1", port_}}))),
              HasSubstr("in use"));
  EXPECT_THAT(std::string(base::Message(other.Start({{"localhost", 0}}))),
              HasSubstr("not an IP address"));
  EXPECT_TRUE(other.ports().empty());
}

}  // namespace
}  // namespace strata::net
