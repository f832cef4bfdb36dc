// One accepted socket: TLS and a protocol on an io thread. Private to this folder.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/transport/net/hello_bound.h"
#include "lib/transport/net/io_thread.h"
#include "lib/transport/net/options.h"
#include "lib/transport/net/protocol.h"
#include "lib/transport/net/tls_stream.h"

namespace strata::net {

class Connection final : private Channel {
 public:
  // `over_limit`: it may stay only if there is room for its rank, or others have gone meanwhile.
  Connection(IoThread& thread, boost::asio::ip::tcp::socket socket, std::string peer_address,
             std::shared_ptr<SSL_CTX> tls, bool over_limit, base::MonotonicTime now);
  ~Connection();

  void Start();
  void StartDrain(base::MonotonicTime now);
  void CheckDeadline(base::MonotonicTime now);
  // Sends what there is to send. Called by the thread for those that asked for it by FlushSoon.
  void Flush(base::MonotonicTime now);

  // Since when it has been of no use to anybody but who keeps it; nothing while a request is
  // answered, for a proxy, and before it had a chance to be of use.
  std::optional<base::MonotonicTime> idle_since(base::MonotonicTime now) const;
  Rank rank() const { return rank_; }
  // The same, or since when who isn't a proxy hasn't taken what is his: whoever has one unread
  // answer on each of all connections would keep everybody else out.
  std::optional<base::MonotonicTime> useless_since(base::MonotonicTime now) const;
  void Evict();

  // Closed, and nothing of the io_context refers to it any more.
  bool dead() const { return state_ == State::kClosed && operations_ == 0; }

  size_t index = 0;  // in the thread's list

 private:
  enum class State { kHandshake, kOpen, kLingering, kClosed };

  void FlushSoon() override;
  const std::shared_ptr<Executor>& executor() const override { return thread_.executor(); }

  void OnReadable();
  void OnWritable();
  void Receive(std::string_view records, base::MonotonicTime now);
  void Handshake(base::MonotonicTime now);
  void NoteFailedHandshake(int verbosity, std::string_view error);
  void Open(base::MonotonicTime now);
  bool Produce(base::MonotonicTime now);
  void Send(base::MonotonicTime now);
  bool MayTakeIn() const;
  void Yield();
  void Arm();
  void LookForPeer(base::MonotonicTime now);
  bool TookEnough() const;
  void Linger(base::MonotonicTime now);
  void Close();

  IoThread& thread_;
  const ConnectionOptions& options_;
  Counts& counts_;
  boost::asio::ip::tcp::socket socket_;
  const std::string peer_address_;
  const std::shared_ptr<SSL_CTX> context_;
  const bool over_limit_;
  Rank rank_ = Rank::kStranger;
  const base::MonotonicTime accepted_;
  HelloBound hello_;
  TlsStream tls_;
  std::unique_ptr<Protocol> protocol_;
  State state_ = State::kHandshake;
  std::atomic<int64_t>* gauge_;  // of the state and protocol it is counted under

  int operations_ = 0;  // handlers that the io_context holds
  bool waits_readable_ = false, waits_writable_ = false;
  bool end_received_ = false;
  bool in_turn_ = false;  // its own turn ends with a flush
  bool flush_queued_ = false;
  bool yielded_ = false;  // has more to take in or to send, after the others
  bool draining_ = false;
  bool probed_ = false;  // since the peer has closed its side
  int idle_ticks_ = 0;

  std::string unsent_;  // what the socket didn't take
  size_t unsent_from_ = 0;
  size_t taken_ = 0;              // of it, in the time that ends at deadline_
  base::MonotonicTime moved_;     // when the socket last took some of it, or it came to be
  base::MonotonicTime deadline_;  // of the handshake, of lingering, or for the peer to take unsent_
  uint64_t wire_bytes_ = 0;       // received
};

}  // namespace strata::net
