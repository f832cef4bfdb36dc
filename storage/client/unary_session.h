// gRPC calls with one message each way, one after another over one HTTP/2 connection, as bytes in
// and bytes out (gRPC's PROTOCOL-HTTP2.md). It knows no socket.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/transport/http/http2_client_session.h"

namespace strata::client {

struct UnaryRequest {
  std::string path;     // "/etcdserverpb.KV/Range"
  std::string message;  // as protobuf has it
  std::string token{};  // of etcd's users; empty: none
};

class UnarySession final : private http::Http2ClientSession::Receiver {
 public:
  UnarySession(std::string scheme, std::string authority);

  // Begins a call; the one before is done. The server hears of `timeout`.
  void Start(const UnaryRequest& request, std::chrono::milliseconds timeout);

  // What is to be sent. Empty: nothing.
  std::string Produce() { return session_.Produce(); }
  void Receive(std::string_view bytes) { session_.Receive(bytes); }
  void ReceiveEnd() { session_.ReceiveEnd(); }

  bool done() const { return session_.done(); }
  // Of the call that is done. Unavailable if the connection broke.
  base::StatusOr<std::string> TakeAnswer();
  // Whether anything has come for the call.
  bool answering() const { return session_.answering(); }
  // Whether another call may be begun.
  bool reusable() const { return session_.reusable(); }

 private:
  void OnField(std::string_view name, std::string_view value) override;
  void OnBody(std::string_view bytes) override;

  http::Http2ClientSession session_;

  // Of the call.
  std::string http_status_;
  std::string grpc_status_;
  std::string grpc_message_;
  std::string answer_;
};

}  // namespace strata::client
