#include "storage/rpc/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "test/support/temp_dir.h"

namespace strata::rpc {
namespace {

// A socket file, and what others do with it.
class SocketFile : public testing::Test {
 protected:
  std::unique_ptr<Listener> Open() const {
    auto opened = Listener::Open({.path = path_});
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  std::string Refused() const {
    const auto opened = Listener::Open({.path = path_});
    return opened.ok() ? "it listens" : std::string(base::Message(opened.status()));
  }
  // 0 where nothing is there.
  mode_t Mode() const {
    struct stat file {};
    return lstat(path_.c_str(), &file) == 0 ? file.st_mode : 0;
  }
  // Does it with a socket of this test's; the descriptor, or -1.
  int With(int (*what)(int, const sockaddr*, socklen_t)) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (what(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
      return socket;
    close(socket);
    return -1;
  }

  const testing_support::TempDir dir_;
  const std::string path_ = dir_.path() + "/socket";
};

TEST_F(SocketFile, IsItsUsersAndItsGroupsToOpenWhateverTheUmaskIs) {
  for (const mode_t mask : {0000, 0022, 0077, 0777}) {
    const mode_t before = umask(mask);
    const auto listener = Open();
    umask(before);
    EXPECT_EQ(Mode(), S_IFSOCK | 0660) << mask;
  }
}

TEST_F(SocketFile, OfAProcessThatIsGoneIsReplaced) {
  close(With(bind));
  ASSERT_NE(Mode(), 0u);
  const auto listener = Open();
  const int client = With(connect);
  EXPECT_GE(client, 0);
  close(client);
}

TEST_F(SocketFile, ThatSomebodyListensAtIsLeftToHim) {
  const auto first = Open();
  EXPECT_EQ(Refused(), "another process listens there");
  const int client = With(connect);
  EXPECT_GE(client, 0);
  close(client);
}

TEST_F(SocketFile, OfAProcessThatTakesNoConnectionsIsLeftToItAtOnce) {
  const int hung = With(bind);
  ASSERT_EQ(listen(hung, 0), 0);
  std::vector<int> waiting;
  for (int client = With(connect); client >= 0; client = With(connect)) waiting.push_back(client);
  ASSERT_EQ(errno, EAGAIN);
  EXPECT_EQ(Refused(), "another process listens there");
  for (const int client : waiting) close(client);
  close(hung);
}

TEST_F(SocketFile, IsntPutInThePlaceOfAnythingElse) {
  std::ofstream(path_) << "text";
  EXPECT_EQ(Refused(), "something that is no socket is there: remove it");
  EXPECT_TRUE(S_ISREG(Mode()));
}

TEST_F(SocketFile, IsRemovedAtTheEndAndNoOtherIs) {
  auto first = Open();
  ASSERT_EQ(unlink(path_.c_str()), 0);
  auto second = Open();
  first.reset();
  EXPECT_NE(Mode(), 0u) << "the second's";
  second.reset();
  EXPECT_EQ(Mode(), 0u);
}

TEST_F(SocketFile, HasAPathThatFits) {
  const auto opened = Listener::Open({.path = "/" + std::string(107, 'a')});
  EXPECT_EQ(base::Message(opened.status()), "a socket's path has at most 107 bytes");
  EXPECT_TRUE(absl::IsInvalidArgument(opened.status()));
}

int ConnectTo(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return client;
}

// Its socket is readable all the time, and the listener would look again and again.
TEST(Listener, NobodyIsWaitedForWhoEndedWithinHisFirstBytes) {
  std::promise<int> taken;
  const auto listener = *Listener::Open({.host = "127.0.0.1", .port = "0"});
  listener->Start({.grpc = [&](int, int socket) { taken.set_value(socket); }});
  const int client = ConnectTo(listener->port());
  ASSERT_EQ(send(client, "P", 1, 0), 1);
  ASSERT_EQ(shutdown(client, SHUT_WR), 0);
  auto socket = taken.get_future();
  // As long as for the silent it would take ten.
  ASSERT_EQ(socket.wait_for(std::chrono::seconds(8)), std::future_status::ready);
  close(socket.get());
  close(client);
}

// Where TLS is spoken, which the listener leaves to gRPC.
class TlsPort : public testing::Test {
 protected:
  TlsPort() {
    listener_->Start({.grpc =
                          [](int, int socket) {
                            // Told apart from an end by a byte.
                            (void)!send(socket, "g", 1, MSG_NOSIGNAL);
                            close(socket);
                          },
                      .http = nullptr,
                      .refused = nullptr});
  }
  // A client's socket, which waits ten seconds for an answer at most.
  int Connect() const {
    const int socket = ConnectTo(listener_->port());
    const timeval patience{10, 0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return socket;
  }
  static std::string Answer(int socket) {
    char byte = 0;
    const ssize_t got = recv(socket, &byte, 1, 0);
    const bool closed = got == 0 || (got < 0 && errno == ECONNRESET);
    close(socket);
    return got == 1 ? "gRPC" : closed ? "closed" : "nothing";
  }
  std::string AnswerTo(const std::string& said) const {
    const int socket = Connect();
    EXPECT_EQ(send(socket, said.data(), said.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(said.size()));
    return Answer(socket);
  }

  const std::unique_ptr<Listener> listener_ =
      *Listener::Open({.tls = true, .host = "127.0.0.1", .port = "0"});
};

TEST_F(TlsPort, HandsOnWhoseHelloHasABearableLength) {
  EXPECT_EQ(AnswerTo({"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9}), "gRPC");
  EXPECT_EQ(AnswerTo({"\x16\x03\x01\x02\x00\x01\x00\x40\x00 and more", 18}), "gRPC");
  EXPECT_EQ(AnswerTo({"\x16\x03\x01\x00\x04\x01\x00\x40\x01", 9}), "closed");
  EXPECT_EQ(AnswerTo({"\x16\x03\x01\x00\x04\x01\x01\xff\xb8", 9}), "closed");
}

TEST_F(TlsPort, ClosesWhoDoesntBeginWithAHello) {
  EXPECT_EQ(AnswerTo({"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x03\x01\xff\xb8", 14}), "closed")
      << "its head is in two records";
  EXPECT_EQ(AnswerTo({"\x15\x03\x01\x00\x02\x01\x5a\x16\x03\x01\x00\x04\x01\x01\xff\xb8", 16}),
            "closed")
      << "an alert is before it";
  EXPECT_EQ(AnswerTo("SSH-2.0-"), "closed");
}

TEST_F(TlsPort, ClosesWhoWasSilentBeforeManyMoreWere) {
  const int first = Connect();
  std::vector<int> others;
  for (int i = 0; i < 256; ++i) others.push_back(Connect());
  EXPECT_EQ(Answer(first), "closed");
  EXPECT_EQ(AnswerTo({"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9}), "gRPC");
  for (const int socket : others) close(socket);
}

}  // namespace
}  // namespace strata::rpc
