#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/transport/net/server_fixture_test.h"

namespace strata::net {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, GivesUpAClientThatDoesNotRead) {
  options_.connection.write_timeout = milliseconds(100);
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 50000000\n");
  WaitForMetric("strata_connections_rejected_total{reason=\"write_timeout\"}", 1);
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
}

TEST_F(ServerTest, GivesUpAClientThatReadsSlowerThanTheLeastRate) {
  options_.connection.write_timeout = milliseconds(500);
  options_.connection.min_read_rate = 4'000'000;
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 50000000\n");
  // Never without progress for long, and never as fast as it should.
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (slow.Read(4000).size() == 4000 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds(20));
  WaitForMetric("strata_connections_rejected_total{reason=\"write_timeout\"}", 1);

  options_.connection.write_timeout = seconds(5);
  options_.connection.min_read_rate = 1000;
  server_.reset();
  Start();
  TlsClient honest(port_, {.receive_buffer = 8 << 10});
  honest.Write("big 2000000\n");
  size_t got = 0;
  for (size_t n; got < 2'000'000 && (n = honest.Read(20'000).size()) > 0; got += n)
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(got, 2'000'000u);
}

TEST_F(ServerTest, GivesUpAHandshakeThatTakesTooLong) {
  options_.connection.handshake_timeout = milliseconds(50);
  Start();
  TlsClient client(port_, {.handshake = false});
  char c;
  EXPECT_LE(recv(client.fd(), &c, 1, 0), 0);
  WaitForMetric("apiserver_tls_handshake_errors_total", 1);
}

// A turn makes the whole answer, and the socket doesn't take it.
TEST_F(ServerTest, TheLastAnswerMayBeReadForAsLongAsOthers) {
  options_.connection.turn_bytes = 32 << 20;
  options_.connection.linger_timeout = milliseconds(1);
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  client.Write("big 16000000\nbye\n");
  // Some ticks, at which nothing may happen.
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(client.Read(16'000'000).size(), 16'000'000u);
  EXPECT_TRUE(client.ReadEnd());
}

// A turn makes the whole answer, and the socket doesn't take it.
TEST_F(ServerTest, GivesUpAClientThatDoesNotReadItsLastAnswer) {
  options_.connection.turn_bytes = 32 << 20;
  options_.connection.write_timeout = milliseconds(100);
  Start();
  TlsClient slow(port_, {.receive_buffer = 8 << 10});
  slow.Write("big 16000000\nbye\n");
  WaitForMetric("strata_connections_rejected_total{reason=\"write_timeout\"}", 1);
  WaitForMetric("strata_connections{protocol=\"http/1.1\"}", 0);
}

TEST_F(ServerTest, KeepsAReserveForThePrivileged) {
  const PemPair proxy = NewPair("front-proxy");
  options_.max_connections = 2;
  options_.reserved_connections = 2;
  options_.connection.rank_of = [](const ConnectionInfo&) { return Rank::kProxy; };
  Start();
  TlsClient one(port_), two(port_);
  EXPECT_EQ(Ask(one, "1"), "1\n");
  EXPECT_EQ(Ask(two, "2"), "2\n");
  // However long those stay that are refused, they hold no place of it.
  TlsClient three(port_), four(port_), five(port_);
  EXPECT_EQ(Ask(three, "3"), "");
  EXPECT_EQ(Ask(four, "3"), "");
  EXPECT_EQ(Ask(five, "3"), "");
  WaitForMetric("strata_connections{protocol=\"handshake\"}", 0);
  TlsClient privileged(port_, {.certificate = &proxy});
  EXPECT_THAT(Ask(privileged, "who"), HasSubstr(" privileged\n"));
}

TEST_F(ServerTest, ClosesIdleStrangersWhenConnectionsAreFull) {
  const PemPair proxy = NewPair("front-proxy");
  const std::string evicted = "strata_connections_rejected_total{reason=\"idle\"}";
  options_.max_connections = 3;
  options_.reserved_connections = 1;
  options_.connection.rank_of = [](const ConnectionInfo&) { return Rank::kProxy; };
  Start();
  TlsClient privileged(port_, {.certificate = &proxy}), busy(port_), idle(port_);
  EXPECT_EQ(Ask(privileged, "idle"), "so be it\n");
  EXPECT_EQ(Ask(busy, "1"), "1\n");
  EXPECT_EQ(Ask(idle, "idle"), "so be it\n");
  TlsClient next(port_);
  EXPECT_EQ(Ask(next, "2"), "2\n") << "the idle stranger made place";
  EXPECT_TRUE(idle.ReadEnd());
  EXPECT_EQ(Metric(evicted), 1);
  {
    TlsClient stranger(port_);
    EXPECT_EQ(Ask(stranger, "3"), "") << "nobody is idle any more";
  }
  EXPECT_EQ(Ask(busy, "4"), "4\n");
  EXPECT_EQ(Ask(privileged, "5"), "5\n");
}

// Any number of clients may have certificates, and a proxy speaks for all the others.
TEST_F(ServerTest, ClientsWithCertificatesShutOutNoProxy) {
  const PemPair client = NewPair("client"), proxy = NewPair("front-proxy");
  options_.io_threads = 1;
  options_.max_connections = 3;
  options_.reserved_connections = 2;
  options_.connection.rank_of = [](const ConnectionInfo& info) {
    const bool is_proxy = info.certificate_chain[0].find("front-proxy") != std::string::npos;
    return is_proxy ? Rank::kProxy : Rank::kClient;
  };
  Start();
  TlsClient one(port_, {.certificate = &client}), two(port_, {.certificate = &client}),
      three(port_), four(port_, {.certificate = &client});
  for (TlsClient* busy : {&one, &two, &three, &four}) EXPECT_EQ(Ask(*busy, "1"), "1\n");
  {
    TlsClient fifth(port_, {.certificate = &client});
    EXPECT_EQ(Ask(fifth, "1"), "") << "half of the reserve is theirs";
  }
  WaitForMetric("strata_connections{protocol=\"handshake\"}", 0);
  TlsClient spokesman(port_, {.certificate = &proxy});
  EXPECT_EQ(Ask(spokesman, "1"), "1\n");
  // Full to the last place, they give way: strangers first, and proxies never.
  EXPECT_EQ(Ask(spokesman, "idle"), "so be it\n");
  EXPECT_EQ(Ask(one, "idle"), "so be it\n");
  EXPECT_EQ(Ask(three, "idle"), "so be it\n");
  const auto makes_others_go = [&] { TlsClient next(port_, {.handshake = false}); };
  makes_others_go();
  EXPECT_TRUE(three.ReadEnd());
  makes_others_go();
  EXPECT_TRUE(one.ReadEnd());
  makes_others_go();
  EXPECT_EQ(Ask(spokesman, "2"), "2\n");
  EXPECT_EQ(Ask(two, "2"), "2\n");
}

TEST_F(ServerTest, WhoDoesNotTakeHisAnswersGivesWayToOthers) {
  options_.io_threads = 1;
  options_.max_connections = 3;
  Start();
  TlsClient busy(port_), stalled(port_);
  // Nothing fits into its socket, so that the protocol isn't even asked.
  TlsClient deaf(port_, {.receive_buffer = 8 << 10});
  EXPECT_EQ(Ask(busy, "1"), "1\n");
  EXPECT_EQ(Ask(stalled, "stall"), "so be it\n");
  deaf.Write("big 16000000\n");
  const auto comes = [&] {
    TlsClient next(port_);
    return Ask(next, "2") == "2\n";
  };
  EXPECT_TRUE(comes());
  EXPECT_TRUE(stalled.ReadEnd());
  TlsClient third(port_);
  EXPECT_EQ(Ask(third, "3"), "3\n");
  EXPECT_TRUE(Eventually(comes)) << "the one that doesn't read made place";
  EXPECT_EQ(Ask(busy, "4"), "4\n");
  EXPECT_EQ(Ask(third, "5"), "5\n");
}

TEST_F(ServerTest, LooksAtAFewConnectionsForOneThatIsIdle) {
  options_.io_threads = 1;
  options_.max_connections = 10;
  options_.reserved_connections = 4;
  options_.connection.eviction_sample = 2;
  Start();
  std::vector<std::unique_ptr<TlsClient>> busy;
  for (int i = 0; i < 10; ++i) {
    busy.push_back(std::make_unique<TlsClient>(port_));
    EXPECT_EQ(Ask(*busy.back(), "1"), "1\n");
  }
  for (int i = 0; i < 10; ++i) {
    TlsClient stranger(port_);
    EXPECT_EQ(Ask(stranger, "2"), "");
  }
  EXPECT_LE(looks_, 20);
  EXPECT_EQ(Ask(*busy[7], "idle"), "so be it\n");
  bool in = false;
  for (int i = 0; i < 30 && !in; ++i) {
    TlsClient next(port_);
    in = Ask(next, "3") == "3\n";
  }
  EXPECT_TRUE(in) << "those that are looked at aren't always the same";
}

TEST_F(ServerTest, TheReserveIsNotForStrangersWhoSayNothing) {
  const PemPair proxy = NewPair("front-proxy");
  options_.max_connections = 4;
  options_.reserved_connections = 2;
  options_.connection.rank_of = [](const ConnectionInfo&) { return Rank::kProxy; };
  Start();
  // Far more than there is room for, silent and half-way into TLS.
  std::vector<std::unique_ptr<TlsClient>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<TlsClient>(port_, TlsClient::Options{.handshake = false}));
    send(silent.back()->fd(), "\x16\x03\x01\x02\0", 5, MSG_NOSIGNAL);
  }
  EXPECT_TRUE(Eventually([&] {
    TlsClient client(port_, {.certificate = &proxy});
    return client.established() && Ask(client, "1") == "1\n";
  }));
}

TEST_F(ServerTest, RestsWhenThereAreNoDescriptorsAndGoesOn) {
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "UBSan wants descriptors to learn of a type";
#endif
#endif
  options_.accept_pause = milliseconds(5);
  Start();
  TlsClient warm(port_);
  EXPECT_EQ(Ask(warm, "1"), "1\n");
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit lowered{static_cast<rlim_t>(client) + 1, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &lowered);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string errors = "strata_connections_rejected_total{reason=\"accept_error\"}";
  EXPECT_TRUE(Eventually([&] { return Metric(errors) >= 1; }));
  EXPECT_EQ(Ask(warm, "still"), "still\n");
  setrlimit(RLIMIT_NOFILE, &limit);
  TlsClient later(port_);
  EXPECT_EQ(Ask(later, "2"), "2\n");
  close(client);
}

// The server's end of a client's connection.
int AcceptedFrom(const TlsClient& client) {
  sockaddr_in wanted{}, peer{};
  socklen_t size = sizeof wanted;
  getsockname(client.fd(), reinterpret_cast<sockaddr*>(&wanted), &size);
  for (int fd = 0; fd < 1'000; ++fd) {
    size = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
        peer.sin_family == AF_INET && peer.sin_port == wanted.sin_port) {
      return fd;
    }
  }
  return -1;
}

TEST_F(ServerTest, TheKernelTakesLittleThatItCannotSend) {
  Start();
  TlsClient client(port_, {.receive_buffer = 8 << 10});
  EXPECT_EQ(Ask(client, "1"), "1\n");
  pollfd server = {AcceptedFrom(client), POLLOUT, 0};
  ASSERT_GE(server.fd, 0);
  client.Write("big 16000000\n");
  // Until the kernel takes no more.
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (poll(&server, 1, 0) != 0) ASSERT_LT(std::chrono::steady_clock::now(), until);
  int held = 0;
  ASSERT_EQ(ioctl(server.fd, TIOCOUTQ, &held), 0);
  EXPECT_LE(held, 1'300'000) << "the bound, what was sent at once, and what is on its way";
}

}  // namespace
}  // namespace strata::net
