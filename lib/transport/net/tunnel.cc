#include "lib/transport/net/tunnel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "lib/base/thread.h"

namespace strata::net {
namespace {

constexpr size_t kBufferBytes = size_t{64} << 10;

// What was read on one side and isn't written on the other yet.
struct Half {
  std::vector<char> bytes = std::vector<char>(kBufferBytes);
  size_t begin = 0, end = 0;
  bool empty() const { return begin == end; }
  size_t size() const { return end - begin; }
};

}  // namespace

Tunnel::Tunnel(std::unique_ptr<ClientConnection> connection) : connection_(std::move(connection)) {
  std::array<int, 2> pair = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) return;
  end_ = pair[0];
  inner_ = pair[1];
  if (auto thread = base::StartThread([this] { Run(); }); thread.ok()) {
    thread_ = *std::move(thread);
    return;
  }
  close(std::exchange(end_, -1));
  close(std::exchange(inner_, -1));
  errno = EAGAIN;  // as pthread_create(3) says it
}

Tunnel::~Tunnel() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
  if (end_ >= 0) close(end_);
  if (inner_ >= 0) close(inner_);
}

base::Status Tunnel::ended() const {
  absl::MutexLock lock(&mu_);
  return ended_;
}

void Tunnel::Run() {
  base::Status status = Carry();
  {
    absl::MutexLock lock(&mu_);
    ended_ = std::move(status);
  }
  shutdown(inner_, SHUT_RDWR);
}

// Until one side ends. The other then hears no more than that: whatever is still asked is over.
base::Status Tunnel::Carry() {
  Half in, out;
  base::Status read;
  for (;;) {
    std::array<pollfd, 3> polled = {pollfd{connection_->socket(), 0, 0}, pollfd{inner_, 0, 0},
                                    pollfd{stop_.fd(), POLLIN, 0}};
    bool moved = false;
    if (in.empty()) {
      if (absl::IsOutOfRange(read)) read = base::UnavailableError("it was closed");
      if (!read.ok()) return connection_->Suspect(read);
      in.begin = in.end = 0;
      short events = POLLIN;
      // Records are smaller than the buffer: one wake-up of the library's for several.
      while (in.end < kBufferBytes) {
        const auto got =
            connection_->TryRead(in.bytes.data() + in.end, kBufferBytes - in.end, events);
        read = got.status();
        if (!got.ok() || *got == 0) break;
        in.end += *got;
      }
      if (in.empty() && !read.ok()) continue;
      if (in.empty()) polled[0].events |= events;
    }
    if (!in.empty()) {
      const ssize_t sent = send(inner_, in.bytes.data() + in.begin, in.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return base::OkStatus();  // it is gone
      if (sent > 0) in.begin += static_cast<size_t>(sent), moved = true;
      if (sent < 0) polled[1].events |= POLLOUT;
    }
    if (out.empty()) {
      const ssize_t got = recv(inner_, out.bytes.data(), kBufferBytes, 0);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return base::OkStatus();
      out.begin = 0;
      out.end = got > 0 ? static_cast<size_t>(got) : 0;
      if (out.empty()) polled[1].events |= POLLIN;
    }
    if (!out.empty()) {
      short events = POLLOUT;
      const auto sent = connection_->TryWrite(out.bytes.data() + out.begin, out.size(), events);
      if (!sent.ok()) return connection_->Suspect(sent.status());
      out.begin += *sent;
      if (*sent > 0) moved = true;
      if (*sent == 0) polled[0].events |= events;
    }
    if (moved) continue;
    // Without a deadline: the library's keepalive ends a connection that is dead, and the owner
    // any.
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
      return SystemError("waiting", errno);
    if (polled[2].revents != 0) return base::OkStatus();
  }
}

}  // namespace strata::net
