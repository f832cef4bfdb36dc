#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "server/serving/connection_fixture_test.h"
#include "test/support/waiting.h"

namespace strata::serving {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(HttpConnectionTest, AConnectionIsWhosFirstAskedOverItAndOneUserLeavesSomeForOthers) {
  const auto ask = [](testing_support::TlsClient& client, const std::string& user) {
    client.Write(Get("/as-" + user));
    return client.ReadUntil(" place").ends_with("a place");
  };
  std::optional<testing_support::TlsClient> first(std::in_place, port_);
  testing_support::TlsClient second(port_), third(port_), fourth(port_);
  EXPECT_TRUE(ask(*first, "a"));
  EXPECT_TRUE(ask(second, "a"));
  EXPECT_TRUE(ask(third, "a"));
  EXPECT_TRUE(ask(third, "a")) << "the same connection";
  EXPECT_TRUE(ask(third, "b")) << "it is a's";
  EXPECT_FALSE(ask(fourth, "a"));
  EXPECT_TRUE(ask(fourth, "b"));
  EXPECT_TRUE(ask(fourth, "a")) << "it is b's";
  first.reset();
  testing_support::TlsClient fifth(port_);
  while (!ask(fifth, "a")) std::this_thread::yield();
}

TEST_F(HttpConnectionTest, BoundsWhatClientsDoNotReadAndGivesUpTheSlowest) {
  const std::string unread = "strata_http_unread_response_bytes";
  const auto bounded = [&] {
    EXPECT_LE(Metric(unread), static_cast<double>(kRoom));
    return Metric(unread);
  };
  // Nobody opens a window or reads: HTTP/2 and HTTP/1.1.
  TlsClient stuck(port_, {.alpn = "\x02h2"});
  stuck.Write(Get2("/large"));
  TlsClient deaf(port_, {.receive_buffer = 8 << 10});
  deaf.Write(Get("/large"));
  EXPECT_TRUE(Eventually([&] { return Metric(unread) == 2 * kLarge; }));

  // Others are refused until the slowest have had time to show it, and then served.
  int refused = 0;
  const auto until = In(std::chrono::seconds(20));
  for (bool served = false; !served && std::chrono::steady_clock::now() < until;) {
    TlsClient client(port_);
    client.Write(Get("/large"));
    client.ReadUntil("Content-Length: ");
    const std::string length = client.ReadUntil("\r\n");
    client.Read(2);
    served = length == std::to_string(kLarge) + "\r\n";
    if (served) {
      EXPECT_EQ(client.Read(kLarge).size(), kLarge);
    } else {
      ++refused;
      EXPECT_EQ(client.Read(7), "no room");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    bounded();
  }
  EXPECT_GE(refused, 1);
  EXPECT_LT(std::chrono::steady_clock::now(), until);
  EXPECT_GE(Metric("strata_http_readers_cut_total"), 1);
  EXPECT_EQ(Metric("strata_http_responses_without_room_total"), refused);
}

TEST_F(HttpConnectionTest, CountsWhyConnectionsEnd) {
  TlsClient client(port_);
  client.Write("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("Host header"), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(client.ReadEnd());
  server_->Stop();
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("strata_http_connection_closes_total{reason=\"malformed\"} 1"));
}

TEST_F(HttpConnectionTest, AnAnswerThatWasReadIsUnreadNoMore) {
  testing_support::TlsClient client(port_);
  client.Write(Get("/large"));
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.Read(kLarge).size(), kLarge);
  EXPECT_EQ(Metric("strata_http_unread_response_bytes"), 0);
  client.Write(Get("/now"));
  EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

}  // namespace
}  // namespace strata::serving
