#include "storage/rpc/connections.h"

#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace strata::rpc {
namespace {

// For the store's files, gRPC's own, and the connections of Monitoring.
constexpr size_t kReservedDescriptors = 128;
constexpr size_t kLooks = 256;

int64_t LimitOf(size_t most) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const size_t all = files.rlim_cur;
  return static_cast<int64_t>(std::min(most, all - std::min(all / 2, kReservedDescriptors)));
}

// 0: there is no such socket.
uint64_t CookieOf(int socket) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

// What one host has: an IPv4 address, or an IPv6 network of 64 bits. Of a Unix socket nothing.
std::string_view HostOf(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) {
    const in_addr& address = reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
    return {reinterpret_cast<const char*>(&address), sizeof(address)};
  }
  if (peer.ss_family != AF_INET6) return {};
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  const std::string_view bytes(reinterpret_cast<const char*>(&address), sizeof(address));
  return IN6_IS_ADDR_V4MAPPED(&address) ? bytes.substr(12) : bytes.substr(0, 8);
}

}  // namespace

Connections::Connections(size_t most) : shares_(LimitOf(most)) {}

void Connections::DropEnded(size_t looks) {
  for (size_t i = std::min(looks, by_descriptor_.size()); i > 0; --i) {
    next_look_ = (next_look_ + 1) % by_descriptor_.size();
    auto& one = by_descriptor_[next_look_];
    if (!one) continue;
    const uint64_t cookie = CookieOf(static_cast<int>(next_look_));
    if (cookie == 0 || cookie != one->cookie) one.reset();
  }
}

bool Connections::Admit(int socket, const sockaddr_storage& peer) {
  const std::string_view host = HostOf(peer);
  const auto descriptor = static_cast<size_t>(socket);
  absl::MutexLock lock(&mu_);
  if (by_descriptor_.size() <= descriptor) by_descriptor_.resize(descriptor + 1);
  by_descriptor_[descriptor].reset();  // whoever had the number is gone
  auto share = shares_.Take(host, base::Shares::Claim::kFair);
  if (!share) {
    DropEnded(kLooks);
    share = shares_.Take(host, base::Shares::Claim::kFair);
  }
  if (!share) {
    ++refused_;
    return false;
  }
  by_descriptor_[descriptor].emplace(Connection{CookieOf(socket), *std::move(share)});
  return true;
}

int64_t Connections::open() {
  absl::MutexLock lock(&mu_);
  DropEnded(by_descriptor_.size());
  return shares_.taken();
}

}  // namespace strata::rpc
