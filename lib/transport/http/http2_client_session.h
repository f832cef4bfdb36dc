// The client's side of an HTTP/2 connection (RFC 9113): one request after another, as bytes in and
// bytes out. It knows no socket.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::http {

class Http2ClientSession {
 public:
  // Gets the answer as it comes; the views live until the call returns.
  class Receiver {
   public:
    // Of the head, ":status" among them, and of the trailers.
    virtual void OnField(std::string_view name, std::string_view value) = 0;
    // May abandon the request.
    virtual void OnBody(std::string_view bytes) = 0;

   protected:
    ~Receiver() = default;
  };

  // `receiver` outlives it.
  Http2ClientSession(std::string scheme, std::string authority, Receiver& receiver);
  Http2ClientSession(const Http2ClientSession&) = delete;
  Http2ClientSession& operator=(const Http2ClientSession&) = delete;
  ~Http2ClientSession();

  // Begins a request; the one before is done. `fields` come behind those that HTTP/2 has itself.
  void Start(std::string_view method, std::string_view path, std::span<const nghttp2_nv> fields,
             std::string body);
  // The request shall end: its stream is reset. It is done.
  void Abandon();

  // What is to be sent. Empty: nothing.
  std::string Produce();
  void Receive(std::string_view bytes);
  void ReceiveEnd();

  bool done() const { return ended_; }
  // Whether anything has come for the request.
  bool answering() const { return answering_; }
  // Whether another request may be begun.
  bool reusable() const;
  // Why the connection is of no use any more. Empty: it is.
  std::string_view broken() const { return broken_; }
  // The error with which the request's stream was closed, NGHTTP2_NO_ERROR if there was none.
  uint32_t reset() const { return reset_; }

 private:
  struct Callbacks;

  void Closed(uint32_t error);
  void Collect();
  void Break(std::string_view why);

  const std::string scheme_, authority_;
  Receiver& receiver_;
  nghttp2_session* session_ = nullptr;
  std::string out_;
  bool leaving_ = false;  // GOAWAY
  std::string broken_;

  // Of the request.
  int32_t stream_ = 0;
  std::vector<nghttp2_nv> fields_;  // while it is submitted
  std::string body_;                // what isn't sent yet at sent_
  size_t sent_ = 0;
  bool ended_ = true;
  bool answering_ = false;
  uint32_t reset_ = NGHTTP2_NO_ERROR;
};

}  // namespace strata::http
