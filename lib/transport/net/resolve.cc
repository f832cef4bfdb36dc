#include "lib/transport/net/resolve.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/un.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/owned.h"
#include "lib/base/thread.h"

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

// Shared by the thread that asks and all who wait.
struct Question {
  Interruption answered;
  absl::Mutex mu;
  base::StatusOr<std::vector<SocketAddress>> answer ABSL_GUARDED_BY(mu) =
      base::DeadlineExceededError("");
};

using Name = std::pair<std::string, std::string>;  // host and port

// Those that aren't answered yet.
struct Questions {
  absl::Mutex mu;
  std::map<Name, std::shared_ptr<Question>> by_name ABSL_GUARDED_BY(mu);
};
Questions& AllQuestions() {
  static auto* const all = new Questions;  // its threads outlast main
  return *all;
}

void Answer(const Name& name, Question& question) {
  auto answer = Ask(name.first, name.second, 0);
  {
    Questions& all = AllQuestions();
    absl::MutexLock lock(&all.mu);
    all.by_name.erase(name);
  }
  {
    absl::MutexLock lock(&question.mu);
    question.answer = std::move(answer);
  }
  question.answered.Set();
}

// The one that is asked already, or a new one: while the resolver hangs, a thread a name does.
base::StatusOr<std::shared_ptr<Question>> Begin(const Name& name) {
  Questions& all = AllQuestions();
  absl::MutexLock lock(&all.mu);
  if (const auto asked = all.by_name.find(name); asked != all.by_name.end()) return asked->second;
  auto question = std::make_shared<Question>();
  // It takes the question out under the lock: not before it is in.
  auto thread = base::StartThread([name, question] { Answer(name, *question); });
  if (!thread.ok()) return base::Annotate(thread.status(), fmt::format("resolving {}", name.first));
  thread->detach();
  all.by_name.emplace(name, question);
  return question;
}

}  // namespace

base::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address,
                                                   const Interruption& interruption,
                                                   base::MonotonicTime deadline) {
  if (address.unix_socket) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.host.size() > kMaxSocketPath)
      return base::UnavailableError("the socket's path is too long");
    std::memcpy(name.sun_path, address.host.data(), address.host.size());
    SocketAddress one{.size = sizeof(name)};
    std::memcpy(&one.bytes, &name, sizeof(name));
    return std::vector<SocketAddress>{one};
  }
  if (auto numeric = Ask(address.host, address.port, AI_NUMERICHOST); numeric.ok()) return numeric;
  STRATA_ASSIGN_OR_RETURN(const auto question, Begin({address.host, address.port}));
  const base::Status waited = AwaitSocket(question->answered.fd(), POLLIN, interruption, deadline);
  if (absl::IsDeadlineExceeded(waited))
    return base::UnavailableError(fmt::format("resolving {}: no answer in time", address.host));
  STRATA_RETURN_IF_ERROR(waited);
  absl::MutexLock lock(&question->mu);
  return question->answer;
}

}  // namespace strata::net
