// Counts the HTTP/2 frames that cost work and do none, and refuses those that come for streams
// which are over.
//
// It reads frame headers ahead of nghttp2, which neither limits most of them nor tells about those
// it ignores: Debian's 1.52 takes eleven million empty DATA frames a second from one connection.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/transport/http/token_bucket.h"

namespace strata::http {

class FrameMeter {
 public:
  // The buckets outlive this. `idle_frames` also earns tokens elsewhere, for what was sent.
  // `max_streams`: that the client may have open as it sees them.
  FrameMeter(TokenBucket& idle_frames, TokenBucket& resets, size_t max_streams)
      : idle_frames_(idle_frames), resets_(resets), max_streams_(max_streams) {}

  // Follows the stream of bytes, from the connection preface on. False once a bucket is empty, a
  // header block has too many CONTINUATION frames (VU#421644), or a frame may not be (RFC 9113
  // §5.1).
  bool Pass(std::string_view bytes, base::MonotonicTime now);
  // We have reset `stream`, of which the client may never say that it is over (Go's doesn't).
  void NoteReset(uint32_t stream);
  // A header block whose end hasn't come: how much of it has, as it is on the wire, and since when.
  struct Block {
    base::MonotonicTime since;
    bool in_last_frame = false;
    size_t bytes = 0;
  };
  const std::optional<Block>& block() const { return block_; }
  // Once Pass has returned false: "frame_flood", "reset_flood", "header_flood" or "malformed", and
  // the HTTP/2 error.
  std::string_view reason() const { return reason_; }
  uint32_t error() const { return error_; }

 private:
  bool Refuse(std::string_view reason, uint32_t error);
  bool PassFrame(base::MonotonicTime now);
  void EndFrame();

  TokenBucket& idle_frames_;
  TokenBucket& resets_;
  const size_t max_streams_;
  // Whose end the client hasn't sent yet. Requests without a body never get here. They may outlive
  // the stream: the client sends on until it hears of an early answer or a reset.
  absl::flat_hash_set<uint32_t> open_streams_;
  // Of them the last that we have reset, a ring: of more resets than it may have streams a client
  // must have heard.
  std::vector<uint32_t> reset_streams_;
  size_t oldest_reset_ = 0;
  uint32_t skip_ = 24;  // the preface, then payloads
  uint8_t header_[9];
  int header_bytes_ = 0;
  uint32_t highest_stream_ = 0;
  int continuations_ = 0;  // of the header block that is being sent
  std::optional<Block> block_;
  std::string_view reason_;
  uint32_t error_ = 0;
};

}  // namespace strata::http
