#include "storage/rpc/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
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

}  // namespace
}  // namespace strata::rpc
