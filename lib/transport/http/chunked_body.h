// The chunked transfer coding (RFC 9112 §7.1), taken off a body that arrives in pieces of any size.
//
// Nothing is forgiven that somebody in front of us might read differently: sizes are hexadecimal
// digits and nothing else, lines end in CRLF, extensions and trailer fields follow the grammar.
// What extensions and trailers say is dropped. Between two pieces no more is held than one line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::http {

class ChunkedBody {
 public:
  // The trailer may have so many bytes, in RFC 9113 §6.5.2's measure.
  explicit ChunkedBody(size_t max_trailer_bytes) : trailer_allowance_(max_trailer_bytes) {}

  // Takes a prefix of `bytes`, which aren't empty, and returns its length. What of it is content is
  // left in `content`. May not be called when the body is done or refused.
  size_t Next(std::string_view bytes, std::string_view& content);

  // Bytes that it keeps, of a line that hasn't come whole.
  size_t held_bytes() const { return line_.size(); }
  bool done() const { return state_ == State::kDone; }
  // A status of HTTP if the body isn't one, and what was wrong; zero otherwise.
  int refusal() const { return refusal_; }
  std::string_view refusal_detail() const { return detail_; }

 private:
  enum class State { kSize, kContent, kContentEnd, kTrailer, kDone, kRefused };

  void TakeLine(std::string_view line);
  void TakeSize(std::string_view line);
  void TakeTrailer(std::string_view line);
  size_t MaxLineBytes() const;
  void Refuse(int status, std::string_view detail);

  State state_ = State::kSize;
  std::string line_;        // as much as has come of the line that is being read
  uint64_t remaining_ = 0;  // of the current chunk's content
  uint64_t content_bytes_ = 0;
  uint64_t framing_bytes_ = 0;
  size_t trailer_allowance_;
  int refusal_ = 0;
  std::string_view detail_;  // a literal
};

}  // namespace strata::http
