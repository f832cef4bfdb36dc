// TLS for gRPC: a pair of sockets, of which gRPC has one, and a thread that carries what is said
// there over a Transport. So gRPC neither dials nor judges, and what it would make a "Socket
// closed" has a reason.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <thread>

#include "lib/base/status.h"
#include "storage/client/transport.h"

namespace strata::client {

// Thread-safe.
class Tunnel {
 public:
  explicit Tunnel(std::unique_ptr<Transport> transport);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;
  // Breaks it. gRPC's end may be closed or not.
  ~Tunnel();

  // For the one that speaks through it; who takes it closes it. Negative: there is none.
  int TakeEnd() { return std::exchange(end_, -1); }

  // Why the connection ended; OK while it is open, or where gRPC closed it. Known before gRPC sees
  // the end.
  base::Status ended() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  base::Status Carry();

  const Interruption stop_;
  const std::unique_ptr<Transport> transport_;
  int end_ = -1, inner_ = -1;
  mutable absl::Mutex mu_;
  base::Status ended_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace strata::client
