#include "lib/transport/net/io_thread.h"

#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/transport/net/connection.h"

namespace strata::net {
namespace {

constexpr size_t kReceiveBytes = 64 << 10;

}  // namespace

IoThread::IoThread(const ConnectionOptions& options, size_t max_connections,
                   size_t reserved_connections, const Credentials& credentials,
                   const ProtocolFactory& factory, const base::Clock& clock,
                   const obs::Logger& logger, std::shared_ptr<Counts> counts)
    : received(kReceiveBytes, '\0'),
      // A part of a record may have been waiting inside of OpenSSL.
      decrypted(kReceiveBytes + (32 << 10), '\0'),
      produced(16 << 10, '\0'),
      options_(options),
      max_connections_(max_connections),
      reserved_connections_(reserved_connections),
      credentials_(credentials),
      factory_(factory),
      clock_(clock),
      logger_(logger),
      counts_(std::move(counts)) {
  records.reserve(options.turn_bytes + (64 << 10));
}

IoThread::~IoThread() {
  Stop();
}

void IoThread::Start() {
  {
    base::MutexLock lock(&executor_->mu_);
    executor_->wake_ = [this] { boost::asio::post(context_, [this] { RunPosted(); }); };
  }
  thread_ = std::thread([this] { Run(); });
}

void IoThread::Stop() {
  if (!thread_.joinable()) return;
  std::vector<Task> dropped;
  {
    base::MutexLock lock(&executor_->mu_);
    executor_->wake_ = nullptr;
    dropped = std::exchange(executor_->tasks_, {});
  }
  context_.stop();
  thread_.join();
  // Before the sockets' io_context, which drops the handlers of what they waited for.
  load_ = 0;
  counts_->open -= static_cast<int64_t>(connections_.size());
  connections_.clear();
}

void IoThread::Adopt(int fd, std::string peer_address, bool is_ipv6, bool over_limit) {
  ++load_;
  // Closes the socket should the task be dropped.
  struct Descriptor {
    explicit Descriptor(int f) : fd(f) {}
    ~Descriptor() {
      if (fd >= 0) close(fd);
    }
    int fd;
  };
  executor_->Post([this, descriptor = std::make_unique<Descriptor>(fd),
                   peer = std::move(peer_address), is_ipv6, over_limit]() mutable {
    using boost::asio::ip::tcp;
    tcp::socket socket(context_);
    boost::system::error_code error;
    socket.assign(is_ipv6 ? tcp::v6() : tcp::v4(), descriptor->fd, error);
    if (error) {
      --load_;
      --counts_->open;
      return;
    }
    descriptor->fd = -1;
    auto connection = std::make_unique<Connection>(*this, std::move(socket), std::move(peer),
                                                   credentials_.context(), over_limit, now());
    Connection& added = *connection;
    added.index = connections_.size();
    connections_.push_back(std::move(connection));
    if (draining_) added.StartDrain(now());
    added.Start();
  });
}

void IoThread::Drain() {
  executor_->Post([this] {
    draining_ = true;
    for (const auto& connection : connections_) connection->StartDrain(now());
  });
}

void IoThread::EvictIdle(std::function<void(bool)> done) {
  executor_->Post([this, done = std::move(done)] {
    const base::MonotonicTime at = now();
    Connection* longest = nullptr;
    std::pair<Rank, base::MonotonicTime> first;
    const size_t looked_at = std::min(connections_.size(), options_.eviction_sample);
    for (size_t i = 0; i < looked_at; ++i) {
      Connection& connection = *connections_[next_looked_at_++ % connections_.size()];
      const auto useless = connection.useless_since(at);
      if (!useless) continue;
      const std::pair<Rank, base::MonotonicTime> at_its_turn{connection.rank(), *useless};
      if (longest != nullptr && at_its_turn >= first) continue;
      first = at_its_turn;
      longest = &connection;
    }
    if (longest != nullptr) longest->Evict();
    done(longest != nullptr);
  });
}

void IoThread::CloseIdle() {
  executor_->Post([this] {
    for (const auto& connection : connections_)
      if (connection->idle_since(now())) connection->Evict();
  });
}

void IoThread::Run() {
  executor_->thread_ = std::this_thread::get_id();
  Tick();
  context_.run();
  executor_->thread_ = std::thread::id();
}

void IoThread::RunPosted() {
  {
    base::MutexLock lock(&executor_->mu_);
    running_.swap(executor_->tasks_);
  }
  for (Task& task : running_) task();
  running_.clear();
  EndTurn();
}

void IoThread::EndTurn() {
  // A flush may close, which kills; it doesn't ask for flushes.
  for (size_t i = 0; i < to_flush_.size(); ++i) to_flush_[i]->Flush(now());
  to_flush_.clear();
  for (Connection* connection : dead_) {
    const size_t index = connection->index;
    std::swap(connections_[index], connections_.back());
    connections_[index]->index = index;
    connections_.pop_back();
    --load_;
    --counts_->open;
  }
  dead_.clear();
}

void IoThread::Tick() {
  const base::MonotonicTime at = now();
  for (size_t i = 0; i < connections_.size(); ++i) connections_[i]->CheckDeadline(at);
  EndTurn();
  tick_.expires_after(options_.tick);
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Tick();
  });
}

}  // namespace strata::net
