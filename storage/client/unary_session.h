// gRPC calls with one message each way, one after another over one HTTP/2 connection, as bytes in
// and bytes out (gRPC's PROTOCOL-HTTP2.md). It knows no socket.
#pragma once

#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::client {

struct UnaryRequest {
  std::string path;     // "/etcdserverpb.KV/Range"
  std::string message;  // as protobuf has it
  std::string token{};  // of etcd's users; empty: none
};

class UnarySession {
 public:
  UnarySession(std::string scheme, std::string authority);
  UnarySession(const UnarySession&) = delete;
  UnarySession& operator=(const UnarySession&) = delete;
  ~UnarySession();

  // Begins a call; the one before is done. The server hears of `timeout`.
  void Start(const UnaryRequest& request, std::chrono::milliseconds timeout);
  // The call shall end: its stream is reset. It is done.
  void Abandon();

  // What is to be sent. Empty: nothing.
  std::string Produce();
  void Receive(std::string_view bytes);
  void ReceiveEnd();

  bool done() const { return ended_; }
  // Of the call that is done. Unavailable if the connection broke.
  base::StatusOr<std::string> TakeAnswer();
  // Whether anything has come for the call.
  bool answering() const { return answering_; }
  // Whether another call may be begun.
  bool reusable() const;

 private:
  struct Callbacks;

  void AddField(std::string_view name, std::string_view value);
  void AddBody(std::string_view bytes);
  void Closed(uint32_t error);
  void Collect();
  void Break(std::string_view why);

  const std::string scheme_, authority_;
  nghttp2_session* session_ = nullptr;
  std::string out_;
  bool leaving_ = false;  // GOAWAY
  std::string broken_;    // why; empty: it isn't

  // Of the call.
  int32_t stream_ = 0;
  std::string body_;  // of the request, what isn't sent yet at sent_
  size_t sent_ = 0;
  bool ended_ = true;
  bool answering_ = false;
  std::optional<uint32_t> reset_;  // the error that the stream was closed with
  std::string http_status_;
  std::string grpc_status_;
  std::string grpc_message_;
  std::string answer_;
};

}  // namespace strata::client
