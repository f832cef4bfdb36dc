#include "lib/transport/net/connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace strata::net {
namespace {

using base::MonotonicTime;
using boost::asio::ip::tcp;

constexpr size_t kRecord = 16 << 10;
constexpr uint64_t kOverheadPerByte = 4;
// Of turn_bytes each, before other connections have theirs.
constexpr int kRoundsPerTurn = 16;
// Before that nobody is idle: a handshake that is on its way, a client that is about to ask again.
constexpr std::chrono::milliseconds kHandshakeGrace{100};
constexpr std::chrono::milliseconds kIdleGrace{1'000};
// A packet that was lost comes again within it.
constexpr std::chrono::milliseconds kStallGrace{2'000};
// What the kernel takes and doesn't send, which nobody counts: it would be as much as its buffer
// grows to (net.ipv4.tcp_wmem, 4 MiB). With an eighth of it a large answer costs a sixth more time
// of a core.
constexpr int kUnsentInKernel = 1 << 20;
// Without a turn, until it gives back what TLS keeps for it.
constexpr int kIdleTicks = 4;

// `since`, unless that is less than `grace` ago.
std::optional<MonotonicTime> Before(MonotonicTime now, std::optional<MonotonicTime> since,
                                    std::chrono::milliseconds grace) {
  return since && now >= *since + grace ? since : std::nullopt;
}

void SetOption(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

Connection::Connection(IoThread& thread, tcp::socket socket, std::string peer_address,
                       std::shared_ptr<SSL_CTX> tls, bool over_limit, MonotonicTime now)
    : thread_(thread),
      options_(thread.options()),
      counts_(thread.counts()),
      socket_(std::move(socket)),
      peer_address_(std::move(peer_address)),
      context_(std::move(tls)),
      over_limit_(over_limit),
      accepted_(now),
      tls_(*context_, thread.records),
      gauge_(&counts_.handshaking),
      deadline_(now + options_.handshake_timeout) {
  ++*gauge_;
  const int fd = socket_.native_handle();
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentInKernel);
  const int seconds = static_cast<int>(options_.tcp_keepalive.count());
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
}

Connection::~Connection() {
  --*gauge_;
}

void Connection::Start() {
  Arm();
}

void Connection::FlushSoon() {
  if (in_turn_ || flush_queued_ || state_ != State::kOpen) return;
  flush_queued_ = true;
  thread_.QueueFlush(*this);
}

void Connection::StartDrain(MonotonicTime now) {
  draining_ = true;
  // One that hasn't said a word has nothing to lose; a handshake that has begun is a request on its
  // way.
  if (state_ == State::kHandshake && wire_bytes_ == 0) return Close();
  if (state_ != State::kOpen) return;
  protocol_->StartDrain(now);
  Flush(now);
}

std::optional<MonotonicTime> Connection::idle_since(MonotonicTime now) const {
  switch (state_) {
    case State::kHandshake:
      return Before(now, accepted_, kHandshakeGrace);
    case State::kOpen:
      if ((rank_ == Rank::kProxy && !draining_) || !unsent_.empty()) return std::nullopt;
      return Before(now, protocol_->idle_since(), kIdleGrace);
    case State::kLingering:
      if (!unsent_.empty()) return std::nullopt;
      return Before(now, accepted_, kHandshakeGrace);
    case State::kClosed:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<MonotonicTime> Connection::useless_since(MonotonicTime now) const {
  if (const auto idle = idle_since(now)) return idle;
  if (rank_ == Rank::kProxy || state_ == State::kClosed) return std::nullopt;
  if (!unsent_.empty()) return Before(now, moved_, kStallGrace);
  if (state_ != State::kOpen) return std::nullopt;
  return Before(now, protocol_->stalled_since(), kStallGrace);
}

void Connection::Evict() {
  ++counts_.evicted;
  Close();
}

void Connection::CheckDeadline(MonotonicTime now) {
  if (state_ == State::kClosed) return;
  if (state_ == State::kOpen) {
    if (++idle_ticks_ == kIdleTicks) tls_.FreeBuffers();
    if (!waits_readable_) LookForPeer(now);
    if (state_ != State::kOpen) return;
    if (unsent_.empty()) {
      if (now < protocol_->next_deadline()) return;
      in_turn_ = true;
      protocol_->OnDeadline(now);
      return Flush(now);
    }
  }
  if (now < deadline_) return;
  if (state_ == State::kHandshake) {
    NoteFailedHandshake(2, "timeout");
  } else if (!unsent_.empty()) {
    if (TookEnough()) {
      taken_ = 0;
      deadline_ = now + options_.write_timeout;
      return;
    }
    ++counts_.write_timeouts;
  }
  Close();
}

// One wait each for readable and writable, whenever there is use for it.
void Connection::Arm() {
  if (state_ == State::kClosed) return;
  const bool wants_input = state_ != State::kOpen || (protocol_->wants_input() && MayTakeIn());
  if (wants_input && !end_received_ && !waits_readable_) {
    waits_readable_ = true;
    ++operations_;
    socket_.async_wait(tcp::socket::wait_read, [this](const boost::system::error_code& error) {
      IoThread& thread = thread_;
      --operations_;
      waits_readable_ = false;
      if (state_ == State::kClosed) {
        if (dead()) thread_.NoteDead(*this);
      } else if (error) {
        Close();
      } else {
        OnReadable();
      }
      thread.EndTurn();
    });
  }
  if (!unsent_.empty() && !waits_writable_) {
    waits_writable_ = true;
    ++operations_;
    socket_.async_wait(tcp::socket::wait_write, [this](const boost::system::error_code& error) {
      IoThread& thread = thread_;
      --operations_;
      waits_writable_ = false;
      if (state_ == State::kClosed) {
        if (dead()) thread_.NoteDead(*this);
      } else if (error) {
        Close();
      } else {
        OnWritable();
      }
      thread.EndTurn();
    });
  }
}

void Connection::OnReadable() {
  std::string& buffer = thread_.received;
  const ssize_t n = recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return Arm();
    if (state_ == State::kHandshake) ++counts_.handshake_errors;
    return Close();
  }
  const MonotonicTime now = thread_.now();
  in_turn_ = true;
  counts_.bytes_received.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
  if (n > 0) {
    if (state_ != State::kLingering) Receive({buffer.data(), static_cast<size_t>(n)}, now);
  } else {
    end_received_ = true;
    if (state_ == State::kOpen) {
      protocol_->ReceiveEnd(now);
    } else if (state_ == State::kHandshake) {
      NoteFailedHandshake(4, "EOF");
      Close();
    }
  }
  Flush(now);
}

void Connection::Receive(std::string_view received, MonotonicTime now) {
  wire_bytes_ += received.size();
  if (state_ == State::kHandshake && !hello_.Take(received)) {
    NoteFailedHandshake(2, "the ClientHello is longer than 16 KiB");
    return Close();
  }
  tls_.Feed(received);
  if (state_ == State::kHandshake) Handshake(now);
  if (state_ != State::kOpen) return;
  // All records of this turn, then the protocol once.
  std::string& buffer = thread_.decrypted;
  size_t filled = 0;
  TlsStream::Result result;
  for (;;) {
    size_t n = 0;
    result = tls_.Read(std::span(buffer).subspan(filled), n);
    filled += n;
    if (result != TlsStream::Result::kOk) break;
    if (filled == buffer.size()) {
      protocol_->Receive({buffer.data(), std::exchange(filled, 0)}, now);
    }
  }
  if (filled > 0) protocol_->Receive({buffer.data(), filled}, now);
  if (result == TlsStream::Result::kClosed) {
    end_received_ = true;
    protocol_->ReceiveEnd(now);
  } else if (result == TlsStream::Result::kFailed) {
    thread_.logger().Verbose(3, "TLS error", {{"peer", peer_address_}, {"err", tls_.Error()}});
    protocol_->ReceiveEnd(now);
    Linger(now);
  } else if (tls_.flooded() ||
             wire_bytes_ > options_.max_tls_overhead + (1 + kOverheadPerByte) * tls_.data_bytes()) {
    ++counts_.tls_floods;
    Close();
  }
}

void Connection::Handshake(MonotonicTime now) {
  switch (tls_.Handshake()) {
    case TlsStream::Result::kOk:
      return Open(now);
    case TlsStream::Result::kWantInput:
      // No handshake is that long: certificates are at most 16 KiB (credentials.cc).
      if (wire_bytes_ > options_.max_tls_overhead) Close();
      return;
    case TlsStream::Result::kClosed:
    case TlsStream::Result::kFailed:
      NoteFailedHandshake(2, tls_.Error());
      if (tls_.was_plain_http()) thread_.records = options_.answer_to_plaintext;
      return Linger(now);
  }
}

void Connection::NoteFailedHandshake(int verbosity, std::string_view error) {
  ++counts_.handshake_errors;
  thread_.logger().Verbose(verbosity, "TLS handshake error",
                           {{"peer", peer_address_}, {"err", error}});
}

void Connection::Open(MonotonicTime now) {
  ConnectionInfo info{peer_address_, tls_.PeerChain(), tls_.Alpn()};
  if (!info.certificate_chain.empty() && options_.rank_of != nullptr)
    rank_ = info.rank = options_.rank_of(info);
  if (over_limit_ && thread_.full(rank_)) {
    // At once: as long as it lingered, it would hold a place of those that it isn't for.
    ++counts_.rejected_over_limit;
    return Close();
  }
  --*gauge_;
  gauge_ = info.alpn == "h2" ? &counts_.http2 : &counts_.http1;
  ++*gauge_;
  state_ = State::kOpen;
  protocol_ = thread_.factory()(std::move(info), *this, now);
  if (draining_) protocol_->StartDrain(now);
}

void Connection::Flush(MonotonicTime now) {
  idle_ticks_ = 0;
  in_turn_ = flush_queued_ = false;
  bool more = state_ == State::kOpen;
  for (int round = 0; more && unsent_.empty() && round < kRoundsPerTurn; ++round) {
    more = Produce(now);
    if (!more && state_ == State::kOpen && protocol_->finished()) Linger(now);
    Send(now);
    // The peer may be gone.
    more = more && state_ == State::kOpen;
  }
  Send(now);
  if (state_ == State::kClosed) return;
  if (state_ == State::kLingering && unsent_.empty()) {
    // What the peer still sends would reset the connection, and with it our last words.
    shutdown(socket_.native_handle(), SHUT_WR);
    if (end_received_) return Close();
  }
  const bool left = state_ == State::kOpen && protocol_->wants_turn() && MayTakeIn();
  if (left || (more && unsent_.empty())) Yield();
  Arm();
}

// What waits is a turn's at most, unless TLS itself has answered what was read meanwhile.
bool Connection::MayTakeIn() const {
  return unsent_.size() <= 2 * options_.turn_bytes;
}

// Fills the thread's records; true if there may be more than fit.
bool Connection::Produce(MonotonicTime now) {
  std::string& records = thread_.records;
  while (records.size() < options_.turn_bytes) {
    const size_t n = protocol_->Produce({thread_.produced.data(), kRecord}, now);
    if (n == 0) return false;
    if (tls_.Write({thread_.produced.data(), n}) != TlsStream::Result::kOk) {
      Close();
      return false;
    }
  }
  return true;
}

// The rest is taken in, and sent, after other connections had their turn.
void Connection::Yield() {
  if (yielded_) return;
  yielded_ = true;
  ++operations_;
  boost::asio::post(socket_.get_executor(), [this] {
    IoThread& thread = thread_;
    --operations_;
    yielded_ = false;
    if (state_ == State::kClosed) {
      if (dead()) thread_.NoteDead(*this);
    } else {
      const MonotonicTime now = thread_.now();
      in_turn_ = true;
      if (state_ == State::kOpen && protocol_->wants_turn()) protocol_->Receive({}, now);
      Flush(now);
    }
    thread.EndTurn();
  });
}

// Takes the thread's records; those that the socket doesn't are kept.
void Connection::Send(MonotonicTime now) {
  std::string& records = thread_.records;
  if (records.empty()) return;
  if (!unsent_.empty()) {
    unsent_ += records;
    records.clear();
    return;
  }
  const ssize_t n = send(socket_.native_handle(), records.data(), records.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    records.clear();
    return Close();
  }
  const size_t sent = n < 0 ? 0 : static_cast<size_t>(n);
  counts_.bytes_sent.fetch_add(sent, std::memory_order_relaxed);
  if (sent < records.size()) {
    unsent_ = records.substr(sent);
    unsent_from_ = taken_ = 0;
    moved_ = now;
    if (state_ != State::kHandshake) deadline_ = now + options_.write_timeout;
  }
  records.clear();
}

void Connection::OnWritable() {
  const MonotonicTime now = thread_.now();
  if (!unsent_.empty()) {
    const ssize_t n = send(socket_.native_handle(), unsent_.data() + unsent_from_,
                           unsent_.size() - unsent_from_, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return Close();
    if (n > 0) {
      counts_.bytes_sent.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
      unsent_from_ += static_cast<size_t>(n);
      taken_ += static_cast<size_t>(n);
      moved_ = now;
    }
    if (unsent_from_ < unsent_.size()) return Arm();
    std::string().swap(unsent_);  // an assignment would keep its memory
    if (state_ == State::kLingering) deadline_ = now + options_.linger_timeout;
  }
  Flush(now);
}

bool Connection::TookEnough() const {
  const double seconds = std::chrono::duration<double>(options_.write_timeout).count();
  return taken_ > 0 && static_cast<double>(taken_) >= seconds * options_.min_read_rate;
}

// While nothing is read, a peer that goes would only be noticed when something is sent. One that
// has closed its side may still read, or not be there any more, which look the same until its
// kernel is asked: it answers with a reset to what comes for a socket that is closed.
void Connection::LookForPeer(MonotonicTime now) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
  if (info.tcpi_state == TCP_CLOSE) return Close();
  if (info.tcpi_state != TCP_CLOSE_WAIT || probed_ || !unsent_.empty()) return;
  probed_ = true;
  if (!tls_.Probe()) return Close();
  Send(now);
  Arm();
}

// Nothing more is made; what was goes out, and the peer has a moment to take it.
void Connection::Linger(MonotonicTime now) {
  if (state_ == State::kLingering || state_ == State::kClosed) return;
  const bool was_open = state_ == State::kOpen;
  state_ = State::kLingering;
  deadline_ = now + (unsent_.empty() ? options_.linger_timeout : options_.write_timeout);
  if (!was_open) return;
  protocol_.reset();
  tls_.CloseNotify();
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  protocol_.reset();
  boost::system::error_code ignored;
  socket_.close(ignored);
  thread_.records.clear();
  if (dead()) thread_.NoteDead(*this);
}

}  // namespace strata::net
