#include "server/http/frame_meter.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>

namespace strata::http {
namespace {

// DATA that brings fewer bytes than its own header costs. Who sends a body in such pieces pays for each.
constexpr uint32_t kSmallData = 32;
// Eight frames of 16 KiB are twice what a header block may decode to.
constexpr int kMaxContinuations = 8;

}  // namespace

bool FrameMeter::Pass(std::string_view bytes, base::MonotonicTime now) {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      const size_t n = std::min<size_t>(skip_, bytes.size());
      skip_ -= static_cast<uint32_t>(n);
      bytes.remove_prefix(n);
      continue;
    }
    const size_t n = std::min<size_t>(sizeof header_ - static_cast<size_t>(header_bytes_), bytes.size());
    std::memcpy(header_ + header_bytes_, bytes.data(), n);
    header_bytes_ += static_cast<int>(n);
    bytes.remove_prefix(n);
    if (header_bytes_ < static_cast<int>(sizeof header_)) return true;
    header_bytes_ = 0;
    if (!PassFrame(now)) return false;
  }
  return true;
}

bool FrameMeter::PassFrame(base::MonotonicTime now) {
  const uint32_t length = static_cast<uint32_t>(header_[0] << 16 | header_[1] << 8 | header_[2]);
  const uint8_t type = header_[3];
  const uint8_t flags = header_[4];
  const uint32_t stream = (static_cast<uint32_t>(header_[5]) << 24 | static_cast<uint32_t>(header_[6]) << 16 |
                           static_cast<uint32_t>(header_[7]) << 8 | header_[8]) &
                          0x7fffffff;
  skip_ = length;
  const auto idle = [&](uint32_t tokens) { return Take(idle_frames_, tokens, "frame_flood", now); };
  switch (type) {
    case NGHTTP2_DATA: {
      // Padding would make an empty frame look full; nobody pads requests.
      const bool useful = (flags & NGHTTP2_FLAG_END_STREAM) != 0 ||
                          (length >= kSmallData && (flags & NGHTTP2_FLAG_PADDED) == 0);
      return useful || idle(1);
    }
    case NGHTTP2_HEADERS:
      continuations_ = 0;
      // Trailers, or headers of a stream that has been.
      if (stream <= highest_stream_) return idle(1);
      highest_stream_ = stream;
      return true;
    case NGHTTP2_CONTINUATION:
      if (++continuations_ > kMaxContinuations) {
        reason_ = "header_flood";
        return false;
      }
      return idle(1);
    case NGHTTP2_RST_STREAM:
      return Take(resets_, 1, "reset_flood", now);
    case NGHTTP2_SETTINGS:
      return idle(1 + length / 6);
    default:
      return idle(1);
  }
}

bool FrameMeter::Take(TokenBucket& bucket, uint32_t tokens, std::string_view reason, base::MonotonicTime now) {
  if (bucket.Take(tokens, now)) return true;
  reason_ = reason;
  return false;
}

}  // namespace strata::http
