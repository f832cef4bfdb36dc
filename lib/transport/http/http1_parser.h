// One HTTP/1.1 request, from its bytes. Beast's parser does the grammar of the head, ChunkedBody
// that of a body; what Beast forgives and a proxy in front of us might read differently (RFC 9112
// §11.2, request smuggling) is refused here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/transport/http/chunked_body.h"
#include "lib/transport/http/message.h"

namespace strata::http {

class Http1Parser {
 public:
  struct Limits {
    size_t max_header_bytes;
    size_t max_body_bytes;
  };
  enum class State { kHead, kBody, kComplete, kRefused };

  explicit Http1Parser(const Limits& limits);

  // Parses a prefix of `bytes` and returns its length; what it left must be offered again with more
  // after it. Stops at the end of the head (state kBody or kComplete) and at the end of the
  // request.
  size_t Parse(std::string_view bytes);

  State state() const { return state_; }
  // Bytes that it keeps, of a body's line that hasn't come whole.
  size_t held_bytes() const { return chunked_ ? chunked_->held_bytes() : 0; }
  // Some of a request has been seen.
  bool started() const { return started_; }

  // From kBody or kComplete on; it may be moved from.
  Request& request() { return request_; }
  size_t header_bytes() const { return header_bytes_; }
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }
  // The body, which is dropped as it is parsed, is over its limit.
  bool body_too_large() const { return body_too_large_; }

  // In kRefused: the answer, and what was wrong.
  int refusal() const { return refusal_; }
  std::string_view refusal_detail() const { return detail_; }

 private:
  class Grammar;

  size_t ParseHead(std::string_view bytes);
  size_t ParseBody(std::string_view bytes);
  bool CheckLines(std::string_view bytes);
  void CheckHead(const Grammar& grammar);
  void Refuse(int status, std::string_view detail);
  void AddField(std::string_view name, std::string_view value);
  void AddBody(std::string_view bytes);

  const Limits limits_;
  State state_ = State::kHead;
  bool started_ = false;
  Request request_;

  size_t line_start_ = 0;   // of the first line of the head that isn't checked yet
  size_t searched_ = 0;     // up to here there is no more line feed
  size_t head_length_ = 0;  // zero until its end was seen
  size_t header_bytes_ = 0;
  int hosts_ = 0, lengths_ = 0, codings_ = 0;
  bool has_upgrade_ = false;
  bool unknown_expectation_ = false;

  bool keep_alive_ = false;
  bool expects_continue_ = false;
  bool body_too_large_ = false;
  std::optional<ChunkedBody> chunked_;  // if it has that coding
  uint64_t remaining_ = 0;              // of a body with a length
  size_t body_bytes_ = 0;
  int refusal_ = 0;
  std::string detail_;
};

}  // namespace strata::http
