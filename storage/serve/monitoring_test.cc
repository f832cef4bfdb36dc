#include "storage/serve/monitoring.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "storage/engine/store_fixture_test.h"

namespace strata::serve {
namespace {

class MonitoringTest : public testing::Test {
 protected:
  ~MonitoringTest() override {
    for (const int socket : sockets) close(socket);
  }

  // A client's end of a connection, on which `said` has been said.
  int Connect(std::string_view said) {
    const int socket = by_url ? Dial() : Adopted();
    send(socket, said.data(), said.size(), MSG_NOSIGNAL);
    sockets.push_back(socket);
    return socket;
  }
  int Adopted() const {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const sockaddr_un peer{.sun_family = AF_UNIX, .sun_path = {}};
    monitoring->Adopt(ends[1], reinterpret_cast<const sockaddr*>(&peer), sizeof(peer));
    return ends[0];
  }
  int Dial() const {
    const std::string url = monitoring->urls().front();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return socket;
  }

  static bool Hears(int socket) {
    pollfd readable{.fd = socket, .events = POLLIN, .revents = 0};
    return poll(&readable, 1, 8'000) == 1;
  }
  // The first line of what is answered; empty: the connection was closed.
  std::string Ask(const std::string& target = "/health") {
    const int socket = Connect("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    std::string answer(1024, ' ');
    if (!Hears(socket)) return "silence";
    const ssize_t size = read(socket, answer.data(), answer.size());
    answer.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return answer.substr(0, answer.find('\r'));
  }

  void Raise(engine::Alarm alarm) {
    std::promise<void> raised;
    store->Submit(engine::AlarmRequest{.alarm = alarm, .raise = true},
                  [&](const base::StatusOr<engine::AlarmResult>& result) {
                    EXPECT_TRUE(result.ok()) << result.status();
                    raised.set_value();
                  });
    raised.get_future().wait();
  }

  engine::StoreFixture store;
  obs::Metrics metrics;
  const std::unique_ptr<Monitoring> monitoring =
      *Monitoring::Start({"http://127.0.0.1:0"}, *store, metrics);
  bool by_url = false;  // or adopted
  std::vector<int> sockets;
};

// Whether he is silent or says a byte now and then; he would be closed after ten seconds of
// silence.
TEST_F(MonitoringTest, WhoHoldsAConnectionLongestGivesWayToWhoComes) {
  for (const bool way : {false, true}) {
    by_url = way;
    for (size_t i = 0; i < 64; ++i) Connect("GET /health HTTP/1.1\r\nX: ");
    EXPECT_EQ(Ask(), "HTTP/1.1 200 OK") << way;
    const size_t first = sockets.size() - 65;
    for (size_t i = 0; i < 200; ++i) {
      Connect("GET /health HTTP/1.1\r\nX: ");
      ASSERT_TRUE(Hears(sockets[first + i])) << way << " " << i;
    }
    EXPECT_EQ(Ask(), "HTTP/1.1 200 OK") << way;
  }
}

TEST_F(MonitoringTest, ItAnswersWhereMoreHaveComeAtOnceThanItTakes) {
  EXPECT_EQ(Ask(), "HTTP/1.1 200 OK");
  for (int i = 0; i < 300; ++i) Connect("GET /hea");
  std::string answer;
  for (int i = 0; i < 200 && answer.empty(); ++i) {
    answer = Ask();
    if (answer.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(answer, "HTTP/1.1 200 OK");
}

// As at etcd 3.6.5.
TEST_F(MonitoringTest, WhatAProbeExcludesDoesNotCount) {
  EXPECT_EQ(Ask("/livez/serializable_read"), "HTTP/1.1 200 OK");
  EXPECT_EQ(Ask("/livez/data_corruption"), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(Ask("/livez/"), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(Ask("/readyz/non_learner"), "HTTP/1.1 200 OK");

  Raise(engine::Alarm::kNoSpace);
  EXPECT_EQ(Ask("/health"), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(Ask("/health?exclude=CORRUPT"), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(Ask("/health?exclude=NOSPACE&serializable=true"), "HTTP/1.1 200 OK") << "kubeadm's";
  EXPECT_EQ(Ask("/readyz"), "HTTP/1.1 200 OK");

  Raise(engine::Alarm::kCorrupt);
  EXPECT_EQ(Ask("/health?exclude=NOSPACE"), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(Ask("/health?exclude=NOSPACE&exclude=CORRUPT"), "HTTP/1.1 200 OK");
  EXPECT_EQ(Ask("/readyz?exclude=serializable_read"), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(Ask("/readyz?exclude=data_corruption&exclude=what"), "HTTP/1.1 200 OK");
  EXPECT_EQ(Ask("/readyz/data_corruption?exclude=data_corruption"),
            "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(Ask("/readyz/linearizable_read"), "HTTP/1.1 200 OK");
  EXPECT_EQ(Ask("/livez"), "HTTP/1.1 200 OK");
}

}  // namespace
}  // namespace strata::serve
