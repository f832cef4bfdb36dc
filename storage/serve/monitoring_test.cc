#include "storage/serve/monitoring.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
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

  // A client's end of a connection that was adopted, on which `said` has been said.
  int Connect(std::string_view said) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    EXPECT_EQ(write(ends[0], said.data(), said.size()), static_cast<ssize_t>(said.size()));
    const sockaddr_un peer{.sun_family = AF_UNIX, .sun_path = {}};
    monitoring->Adopt(ends[1], reinterpret_cast<const sockaddr*>(&peer), sizeof(peer));
    sockets.push_back(ends[0]);
    return ends[0];
  }

  // The first line of what is answered; empty: the connection was closed.
  std::string Ask() {
    const int socket = Connect("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    pollfd readable{.fd = socket, .events = POLLIN, .revents = 0};
    std::string answer(1024, ' ');
    if (poll(&readable, 1, 5'000) != 1) return "silence";
    const ssize_t size = read(socket, answer.data(), answer.size());
    answer.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return answer.substr(0, answer.find('\r'));
  }

  engine::StoreFixture store;
  obs::Metrics metrics;
  const std::unique_ptr<Monitoring> monitoring = *Monitoring::Start({}, *store, metrics);
  std::vector<int> sockets;
};

TEST_F(MonitoringTest, ConnectionsBeyondItsNumberAreClosedAndItAnswersWhenTheyAreGone) {
  EXPECT_EQ(Ask(), "HTTP/1.1 200 OK");
  for (int i = 0; i < 300; ++i) Connect("GET /hea");
  EXPECT_EQ(Ask(), "");
  for (const int socket : sockets) close(socket);
  sockets.clear();
  std::string answer;
  for (int i = 0; i < 200 && answer.empty(); ++i) {
    answer = Ask();
    if (answer.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(answer, "HTTP/1.1 200 OK");
}

}  // namespace
}  // namespace strata::serve
