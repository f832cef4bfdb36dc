#include "lib/transport/net/resolve.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/un.h>

#include <memory>
#include <thread>

#include "lib/base/owned.h"

namespace strata::net {
namespace {

// `flags` of getaddrinfo.
base::StatusOr<std::vector<SocketAddress>> Ask(const std::string& host, const std::string& port,
                                               int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (code != 0)
    return base::UnavailableError(fmt::format("resolving {}: {}", host, gai_strerror(code)));
  const base::Owned<addrinfo, freeaddrinfo> all(list);
  std::vector<SocketAddress> found;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress& address = found.emplace_back();
    address.size = one->ai_addrlen;
    std::memcpy(&address.bytes, one->ai_addr, one->ai_addrlen);
  }
  return found;
}

// Shared with the thread that asks.
struct Question {
  Interruption answered;
  absl::Mutex mu;
  base::StatusOr<std::vector<SocketAddress>> answer ABSL_GUARDED_BY(mu) =
      base::DeadlineExceededError("");
};

}  // namespace

base::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address,
                                                   const Interruption& interruption,
                                                   base::MonotonicTime deadline) {
  if (address.unix_socket) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.host.size() >= sizeof(name.sun_path))
      return base::UnavailableError("the socket's path is too long");
    std::memcpy(name.sun_path, address.host.data(), address.host.size());
    SocketAddress one{.size = sizeof(name)};
    std::memcpy(&one.bytes, &name, sizeof(name));
    return std::vector<SocketAddress>{one};
  }
  if (auto numeric = Ask(address.host, address.port, AI_NUMERICHOST); numeric.ok()) return numeric;
  const auto question = std::make_shared<Question>();
  std::thread([question, host = address.host, port = address.port] {
    auto answer = Ask(host, port, 0);
    {
      absl::MutexLock lock(&question->mu);
      question->answer = std::move(answer);
    }
    question->answered.Set();
  }).detach();
  const base::Status waited = AwaitSocket(question->answered.fd(), POLLIN, interruption, deadline);
  if (absl::IsDeadlineExceeded(waited))
    return base::UnavailableError(fmt::format("resolving {}: no answer in time", address.host));
  STRATA_RETURN_IF_ERROR(waited);
  absl::MutexLock lock(&question->mu);
  return question->answer;
}

}  // namespace strata::net
