#include "test/support/http_peer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

namespace strata::testing_support {

HttpPeer::HttpPeer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpPeer::~HttpPeer() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  acceptor_.join();
  {
    absl::MutexLock lock(&mu_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  close(listener_);
}

std::vector<HttpPeer::Request> HttpPeer::requests() const {
  absl::MutexLock lock(&mu_);
  return requests_;
}

int HttpPeer::connections() const {
  absl::MutexLock lock(&mu_);
  return accepted_;
}

std::string HttpPeer::Response(int status, std::string_view body, std::string_view more_headers) {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(),
                     more_headers, body);
}

void HttpPeer::Accept() {
  while (true) {
    const int fd = accept(listener_, nullptr, nullptr);
    absl::MutexLock lock(&mu_);
    if (fd < 0 || stopping_) {
      if (fd >= 0) close(fd);
      return;
    }
    ++accepted_;
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpPeer::Serve(int fd) {
  std::string buffer;
  const auto read_more = [&] {
    char bytes[4096];
    const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n > 0) buffer.append(bytes, static_cast<size_t>(n));
    return n > 0;
  };
  while (true) {
    size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos && read_more()) {
    }
    if (end == std::string::npos) break;
    Request request{buffer.substr(0, end + 2), ""};
    size_t length = 0;
    if (const size_t at = request.head.find("Content-Length: "); at != std::string::npos)
      length = static_cast<size_t>(std::atoi(request.head.c_str() + at + 16));
    buffer.erase(0, end + 4);
    while (buffer.size() < length && read_more()) {
    }
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    {
      absl::MutexLock lock(&mu_);
      requests_.push_back(request);
    }
    const Answer answer = handler_(request);
    std::this_thread::sleep_for(std::chrono::milliseconds(answer.delay_ms));
    if (send(fd, answer.bytes.data(), answer.bytes.size(), MSG_NOSIGNAL) < 0 || !answer.keep) break;
  }
  absl::MutexLock lock(&mu_);
  std::erase(open_, fd);
  close(fd);
}

}  // namespace strata::testing_support
