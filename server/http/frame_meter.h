// Counts the HTTP/2 frames that cost work and do none.
//
// It reads frame headers ahead of nghttp2, which neither limits most of them nor tells about those it ignores: Debian's
// 1.52 takes eleven million empty DATA frames a second from one connection.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "server/http/token_bucket.h"

namespace strata::http {

class FrameMeter {
 public:
  // The buckets outlive this. `idle_frames` also earns tokens elsewhere, for what was sent.
  FrameMeter(TokenBucket& idle_frames, TokenBucket& resets) : idle_frames_(idle_frames), resets_(resets) {}

  // Follows the stream of bytes, from the connection preface on. False once a bucket is empty or a header block has too
  // many CONTINUATION frames (VU#421644).
  bool Pass(std::string_view bytes, base::MonotonicTime now);
  // Once Pass has returned false: "frame_flood", "reset_flood" or "header_flood".
  std::string_view reason() const { return reason_; }

 private:
  bool Take(TokenBucket& bucket, uint32_t tokens, std::string_view reason, base::MonotonicTime now);
  bool PassFrame(base::MonotonicTime now);

  TokenBucket& idle_frames_;
  TokenBucket& resets_;
  uint32_t skip_ = 24;  // the preface, then payloads
  uint8_t header_[9];
  int header_bytes_ = 0;
  uint32_t highest_stream_ = 0;
  int continuations_ = 0;  // of the header block that is being sent
  std::string_view reason_;
};

}  // namespace strata::http
