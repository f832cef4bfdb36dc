// The answer that an HTTP/1.1 connection is sending. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "lib/transport/http/message.h"
#include "lib/transport/http/response_head.h"
#include "lib/transport/http/session.h"

namespace strata::http {

class Http1Output {
 public:
  explicit Http1Output(const base::Clock& clock) : date_(clock) {}

  // What becomes of the connection when the answer has been sent, which its head says.
  enum class Then { kKeptAlive, kCloses };
  // The answer to the request `stream`; the one before has been sent.
  void Begin(StreamId stream, Response response, Version version, bool is_head, Then then,
             base::MonotonicTime now);

  // Writes what is next, as much as there is and fits; returns how much. Less than there is room
  // for: the answer has been sent, waits for more of its body, or broke.
  size_t Produce(std::span<char> buffer);

  // Something is to be sent, now or later.
  bool pending() const { return has_bytes() || flow_ != nullptr; }
  // A body that flows is being sent.
  bool flows() const { return flow_ != nullptr; }
  // It couldn't be had whole: the connection has to close.
  bool broken() const { return broken_; }

  StreamId stream() const { return stream_; }
  void Resume() { waits_ = false; }
  // Sends nothing more of it.
  void Drop();

  base::MonotonicTime begun() const { return begun_; }
  // Of the body; of one that flows as many as were taken from it.
  size_t bytes_sent() const { return body_sent_; }
  // Of a body that doesn't flow.
  size_t bytes_left() const { return body_ == nullptr ? 0 : body_->size() - body_sent_; }

 private:
  bool has_bytes() const { return framed_sent_ < framed_.size() || bytes_left() > 0; }
  void WriteHead(const Response& response, Version version, bool is_head, Then then,
                 base::MonotonicTime now);
  void NextPiece();
  void Forget();

  DateHeader date_;
  StreamId stream_ = 0;
  base::MonotonicTime begun_;
  std::string framed_;  // the head; then a piece of a body that flows, in its framing
  size_t framed_sent_ = 0;
  std::shared_ptr<const std::string> body_;
  size_t body_sent_ = 0;
  std::unique_ptr<Body> flow_;
  bool chunked_ = false;  // how it is sent; else the end of the connection is its end
  bool waits_ = false;    // until Resume
  bool broken_ = false;
};

}  // namespace strata::http
