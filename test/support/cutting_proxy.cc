#include "test/support/cutting_proxy.h"

#include <absl/time/time.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "test/support/http2_bytes.h"

namespace strata::testing_support {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

uint32_t Number(std::string_view bytes) {
  uint32_t number = 0;
  for (const char c : bytes) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

}  // namespace

// What a server sends, with other bounds in its settings and no window for streams (RFC 9113
// §6.5.2, §6.9).
class CuttingProxy::Miser {
 public:
  explicit Miser(Granted granted) : granted_(granted) {}
  std::string Pass(std::string_view bytes) {
    in_ += bytes;
    std::string out;
    while (in_.size() >= kHead) {
      const size_t size = kHead + Number(std::string_view(in_).substr(0, 3));
      if (in_.size() < size) break;
      const std::string_view payload = std::string_view(in_).substr(kHead, size - kHead);
      const auto type = static_cast<uint8_t>(in_[3]), flags = static_cast<uint8_t>(in_[4]);
      const uint32_t stream = Number(std::string_view(in_).substr(5, 4));
      constexpr uint8_t kAck = 1;
      if (type == kSettings && (flags & kAck) == 0) {
        std::string settings(payload);
        const std::pair<char, uint32_t> ours[] = {{3, granted_.streams}, {4, granted_.bytes}};
        for (const auto& [identifier, value] : ours) {
          settings.append(1, '\0').append(1, identifier);
          for (const uint32_t shift : {24U, 16U, 8U, 0U})
            settings += static_cast<char>(value >> shift);
        }
        out += Frame(type, flags, stream, settings);
      } else if (type != kWindowUpdate || stream == 0) {
        out.append(in_, 0, size);
      }
      in_.erase(0, size);
    }
    return out;
  }

 private:
  static constexpr size_t kHead = 9;
  const Granted granted_;
  std::string in_;
};

CuttingProxy::CuttingProxy(const std::string& target)
    : target_port_(std::stoi(target.substr(target.rfind(':') + 1))),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  listen(listener_, 64);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

CuttingProxy::~CuttingProxy() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  {
    absl::MutexLock lock(&mu_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void CuttingProxy::CutAfter(int64_t bytes, int others) {
  absl::MutexLock lock(&mu_);
  limit_ = bytes;
  others_ = others;
  passed_ = 0;
  for (const int fd : open_) shutdown(fd, SHUT_RDWR);
}

void CuttingProxy::Freeze(bool frozen) {
  absl::MutexLock lock(&mu_);
  frozen_ = frozen;
}

void CuttingProxy::FreezeOpen() {
  absl::MutexLock lock(&mu_);
  frozen_before_ = accepted_;
}

void CuttingProxy::Delay(std::chrono::milliseconds time) {
  absl::MutexLock lock(&mu_);
  delay_ = time;
}

void CuttingProxy::Grant(Granted granted) {
  absl::MutexLock lock(&mu_);
  granted_ = granted;
}

int CuttingProxy::connections() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int>(open_.size() / 2);
}

int64_t CuttingProxy::passed() const {
  absl::MutexLock lock(&mu_);
  return passed_;
}

int CuttingProxy::cut() const {
  absl::MutexLock lock(&mu_);
  return cut_;
}

void CuttingProxy::Accept() {
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    absl::MutexLock lock(&mu_);
    if (stopping_ || client < 0) {
      if (client >= 0) close(client);
      return;
    }
    threads_.emplace_back([this, client] { Serve(client); });
  }
}

void CuttingProxy::Serve(int client) {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(target_port_);
  const bool connected =
      connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  Fate fate;
  std::optional<Miser> miser;
  {
    absl::MutexLock lock(&mu_);
    if (granted_) miser.emplace(*granted_);
    fate.number = accepted_++;
    fate.watched = others_ == 0;
    if (fate.watched) fate.limit = limit_;
    if (others_ >= 0) --others_;
    open_.insert(open_.end(), {client, server});
    if (stopping_) shutdown(client, SHUT_RDWR);
  }
  if (connected) {
    std::thread up([&] { Pump(client, server, {.number = fate.number}, nullptr); });
    Pump(server, client, fate, miser ? &*miser : nullptr);
    up.join();
  }
  absl::MutexLock lock(&mu_);
  open_.erase(std::remove_if(open_.begin(), open_.end(),
                             [&](int fd) { return fd == client || fd == server; }),
              open_.end());
  close(client);
  close(server);
}

void CuttingProxy::Pump(int from, int to, const Fate& fate, Miser* miser) {
  std::array<char, 16'384> buffer;
  int64_t sent = 0;
  for (;;) {
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got <= 0) break;
    {
      absl::MutexLock lock(&mu_);
      const auto passes = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || (!frozen_ && fate.number >= frozen_before_);
      };
      mu_.Await(absl::Condition(&passes));
      mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(delay_));
    }
    std::string bytes(buffer.data(), static_cast<size_t>(got));
    if (miser != nullptr) bytes = miser->Pass(bytes);
    const auto all = static_cast<int64_t>(bytes.size());
    const int64_t may = fate.limit == 0 ? all : std::min<int64_t>(all, fate.limit - sent);
    if (send(to, bytes.data(), static_cast<size_t>(may), MSG_NOSIGNAL) != may) break;
    sent += may;
    if (!fate.watched) continue;
    absl::MutexLock lock(&mu_);
    passed_ += may;
    if (fate.limit == 0 || sent < fate.limit) continue;
    ++cut_;
    break;
  }
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
}

}  // namespace strata::testing_support
