// A thread with its own io_context, and the connections that live and die on it. Private to this
// folder.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/transport/net/credentials.h"
#include "lib/transport/net/executor.h"
#include "lib/transport/net/options.h"

namespace strata::net {

class Connection;

class IoThread {
 public:
  // References outlive this.
  IoThread(const ConnectionOptions& options, size_t max_connections, size_t reserved_connections,
           const Credentials& credentials, const ProtocolFactory& factory, const base::Clock& clock,
           const obs::Logger& logger, std::shared_ptr<Counts> counts);
  ~IoThread();  // Stop

  void Start();
  // Closes all connections as they are.
  void Stop();

  // From any thread.
  void Adopt(int fd, std::string peer_address, bool is_ipv6, bool over_limit);
  void Drain();
  // Of some connections, others each time, closes the one that has been useless longest
  // (Connection::useless_since), a stranger's before a client's. Then `done` is told, on the
  // thread, whether there was such.
  void EvictIdle(std::function<void(bool evicted)> done);
  // Closes all that are idle.
  void CloseIdle();
  size_t load() const { return load_.load(std::memory_order_relaxed); }
  const std::shared_ptr<Executor>& executor() const { return executor_; }

  // The rest is for connections, on the thread.
  const ConnectionOptions& options() const { return options_; }
  const ProtocolFactory& factory() const { return factory_; }
  const obs::Logger& logger() const { return logger_; }
  Counts& counts() { return *counts_; }
  // More are open, on all threads, than who has this rank may add to: of the reserve half is for
  // clients, and all of it for proxies.
  bool full(Rank rank) const {
    const size_t most = max_connections_ + (rank == Rank::kClient ? reserved_connections_ / 2 : 0);
    return rank != Rank::kProxy && counts_->open.load() > static_cast<int64_t>(most);
  }
  base::MonotonicTime now() const { return clock_.Now(); }
  // Flushes what asked for it, frees what died. Each turn ends with it.
  void EndTurn();
  void QueueFlush(Connection& connection) { to_flush_.push_back(&connection); }
  void NoteDead(Connection& connection) { dead_.push_back(&connection); }

  // Shared by all connections, empty between turns: ciphertext in, plaintext in, plaintext out,
  // ciphertext out.
  std::string received, decrypted, produced, records;

 private:
  void Run();
  void RunPosted();
  void Tick();

  const ConnectionOptions& options_;
  const size_t max_connections_, reserved_connections_;
  const Credentials& credentials_;
  const ProtocolFactory& factory_;
  const base::Clock& clock_;
  const obs::Logger& logger_;
  const std::shared_ptr<Counts> counts_;
  const std::shared_ptr<Executor> executor_ = std::make_shared<Executor>();
  std::atomic<size_t> load_ = 0;

  boost::asio::io_context context_{1};
  boost::asio::steady_timer tick_{context_};
  std::vector<Task> running_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> to_flush_, dead_;
  size_t next_looked_at_ = 0;  // by EvictIdle
  bool draining_ = false;
  std::thread thread_;
};

}  // namespace strata::net
