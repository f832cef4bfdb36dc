// One address that clients connect to, and what comes in there: gRPC's connections and, as at an
// etcd, plain HTTP/1.1 (etcd server/embed/serve.go, which tells them apart by cmux).
//
// gRPC's server would own the port, speaks nothing but HTTP/2 there, and doesn't say why it can't
// listen. So the sockets are accepted here and handed on: by the first bytes of a connection, which
// are looked at and left where they are. With TLS all whose hello has a bearable length
// (net::HelloBound) go to gRPC, for what is said lies behind its handshake. Who speaks TLS where it
// isn't spoken, or HTTP where it is, is told so, and the log.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/status.h"

namespace strata::rpc {

// Called on the listener's thread; who takes a socket, which doesn't block, owns it.
struct ConnectionTakers {
  // Whether it may come; else it is closed. Null: whoever comes may.
  std::function<bool(int socket, const sockaddr_storage& peer)> admit;
  std::function<void(int listener, int socket)> grpc;
  std::function<void(int socket, const sockaddr* peer, socklen_t size)> http;  // may be null
  // Somebody was refused who speaks something else. At most every ten seconds.
  std::function<void(const char* what)> refused;
};

// What a URL says: http://HOST:PORT, https://HOST:PORT or unix:///PATH.
struct ListenAddress {
  bool tls = false;
  std::string host, port;  // a host without brackets
  std::string path;        // of a Unix socket

  static base::StatusOr<ListenAddress> Parse(const std::string& url);
  bool loopback() const;
};

// Accepts on a thread of its own from Start until it ends. At most 256 connections wait for their
// first bytes, each for ten seconds; who is silent for longer, or was before more came, is gRPC's,
// and is closed where TLS is spoken.
class Listener {
 public:
  // Bound, so that clients may come; the error says why not. A socket file is its user's and its
  // group's to open, takes the place of one that a process has left that is gone, and is removed at
  // the end.
  static base::StatusOr<std::unique_ptr<Listener>> Open(const ListenAddress& address);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  int port() const { return port_; }  // 0: a Unix socket
  void Start(ConnectionTakers takers);

 private:
  enum class Speaks { kNothingYet, kHttp1, kHttp2, kTls, kUnknown };
  struct File {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const File&) const = default;
  };
  struct Waiting {
    int listener;
    int socket;
    std::chrono::steady_clock::time_point until;
  };

  explicit Listener(ListenAddress address);
  base::Status BindName();
  base::Status BindPath();
  static File FileAt(const std::string& path);
  base::Status Bind(const sockaddr* address, socklen_t size);
  // The thread's.
  void Run();
  void Accept(int listener, std::deque<Waiting>& waiting);
  void LookAt(std::deque<Waiting>& waiting);
  void HandOn(const Waiting& one, Speaks speaks);
  void Refuse(int socket, const char* what, const char* answer);
  Speaks FirstBytes(int socket) const;

  const ListenAddress address_;
  const int wake_;
  std::vector<int> sockets_;  // one for each address that the name has
  int port_ = 0;
  File file_;  // of a Unix socket; nothing: there is none
  ConnectionTakers takers_;
  std::chrono::steady_clock::time_point tell_after_;
  std::thread thread_;
};

}  // namespace strata::rpc
