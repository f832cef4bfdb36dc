// TLS for a library that speaks through a plain socket, as gRPC can: a pair of sockets, of which
// the library has one, and a thread that carries what is said there over a ClientConnection. So the
// library neither dials nor judges, and what it would make a "Socket closed" has a reason.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <thread>

#include "lib/base/status.h"
#include "lib/transport/net/client_connection.h"

namespace strata::net {

// Thread-safe.
class Tunnel {
 public:
  explicit Tunnel(std::unique_ptr<ClientConnection> connection);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;
  // Breaks it. The library's end may be closed or not.
  ~Tunnel();

  // For the one that speaks through it; who takes it closes it. Negative: there is none, and errno
  // says why right behind the construction.
  int TakeEnd() { return std::exchange(end_, -1); }

  // Why the connection ended; OK while it is open, or where the library closed it. Known before
  // the library sees the end.
  base::Status ended() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  base::Status Carry();

  const Interruption stop_;
  const std::unique_ptr<ClientConnection> connection_;
  int end_ = -1, inner_ = -1;
  mutable absl::Mutex mu_;
  base::Status ended_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace strata::net
