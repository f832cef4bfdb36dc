// Listens, and gives each connection to the least loaded io thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/transport/net/credentials.h"
#include "lib/transport/net/options.h"
#include "lib/transport/net/protocol.h"

namespace strata::net {

struct ServerOptions {
  int io_threads = 0;  // 0: one for each CPU
  // Open at the same time. So many more are let through TLS, and stay if they are proxies', or
  // clients' for half of them (ConnectionOptions::rank_of), or if somebody idle could be closed for
  // them. Proxies are never closed for others: any number of clients may have certificates.
  base::Limit max_connections = 20'000;
  size_t reserved_connections = 64;
  bool reuse_port = false;  // --permit-port-sharing
  int backlog = 1024;
  // How long accepting rests when the process is out of descriptors or memory.
  std::chrono::milliseconds accept_pause{200};
  // How long a drain waits for those who have begun a request or a handshake and not ended it, as
  // Go's http.Server waits for connections that are new and silent.
  std::chrono::milliseconds drain_idle_patience{5'000};
  ConnectionOptions connection;
};

struct ListenAddress {
  std::string address;  // an IP address; "0.0.0.0" or "::" for all ("::" takes IPv4 as well)
  uint16_t port = 0;    // 0: any that is free
};

class IoThread;

// Start, Drain and Stop belong to one thread, usually main's.
class Server {
 public:
  // `credentials`, `clock`, `logger` and `metrics` outlive this.
  Server(ServerOptions options, const Credentials& credentials, ProtocolFactory factory,
         const base::Clock& clock, const obs::Logger& logger, obs::Metrics& metrics);
  ~Server();  // Stop

  // Listens on all of `addresses` or on none.
  base::Status Start(const std::vector<ListenAddress>& addresses);
  // Where it listens, in the order of the addresses.
  const std::vector<uint16_t>& ports() const { return ports_; }

  // Stops listening, tells all connections to finish, and waits until they have or `patience` is
  // over; those without a request that is being answered aren't waited for as long. Returns how
  // many are left.
  size_t Drain(std::chrono::milliseconds patience);
  // While memory is short: closes some idle connections, if there are many. From any thread,
  // until Stop.
  void Relieve();
  // Closes everything. What is posted to an executor later is dropped.
  void Stop();

  size_t open_connections() const;

 private:
  struct Listener;

  base::Status Listen(const ListenAddress& address);
  void StopAccepting();
  void AcceptLoop();
  // False if accepting should rest.
  bool AcceptAll(const Listener& listener);
  // Closes an idle stranger's connection, unless as many are looked for as are let in meanwhile.
  void EvictIdle();
  // The same, of this thread, or else of one of the next.
  void EvictIdle(size_t thread, size_t tries);
  void RegisterMetrics(obs::Metrics& metrics);

  const ServerOptions options_;
  const Credentials& credentials_;
  const std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
  const ProtocolFactory factory_;
  const base::Clock& clock_;
  const obs::Logger& logger_;

  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<uint16_t> ports_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::atomic<size_t> next_eviction_ = 0;    // the thread that is asked first
  std::atomic<size_t> evictions_ = 0;        // that are under way
  size_t next_thread_ = 0;                   // among equals
  base::MonotonicTime last_accept_error_{};  // logged
  int stop_accepting_ = -1;                  // an eventfd
  std::thread acceptor_;
};

}  // namespace strata::net
