#include "lib/transport/http/frame_meter.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace strata::http {
namespace {

// DATA that brings fewer bytes than its own header costs. Who sends a body in such pieces pays for
// each.
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
      if (block_) block_->bytes += n;
      if (skip_ == 0) EndFrame();
      continue;
    }
    const size_t n =
        std::min<size_t>(sizeof header_ - static_cast<size_t>(header_bytes_), bytes.size());
    std::memcpy(header_ + header_bytes_, bytes.data(), n);
    header_bytes_ += static_cast<int>(n);
    bytes.remove_prefix(n);
    if (header_bytes_ < static_cast<int>(sizeof header_)) return true;
    header_bytes_ = 0;
    if (!PassFrame(now)) return false;
    if (skip_ == 0) EndFrame();
  }
  return true;
}

void FrameMeter::EndFrame() {
  if (block_ && block_->in_last_frame) block_.reset();
}

void FrameMeter::NoteReset(uint32_t stream) {
  if (!open_streams_.contains(stream)) return;
  if (reset_streams_.size() < max_streams_) {
    reset_streams_.push_back(stream);
    return;
  }
  open_streams_.erase(std::exchange(reset_streams_[oldest_reset_], stream));
  oldest_reset_ = (oldest_reset_ + 1) % max_streams_;
}

bool FrameMeter::PassFrame(base::MonotonicTime now) {
  const uint32_t length = static_cast<uint32_t>(header_[0] << 16 | header_[1] << 8 | header_[2]);
  const uint8_t type = header_[3];
  const uint8_t flags = header_[4];
  const uint32_t stream =
      (static_cast<uint32_t>(header_[5]) << 24 | static_cast<uint32_t>(header_[6]) << 16 |
       static_cast<uint32_t>(header_[7]) << 8 | header_[8]) &
      0x7fffffff;
  skip_ = length;
  const bool ends_stream = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
  const bool ends_block = (flags & NGHTTP2_FLAG_END_HEADERS) != 0;
  const auto take = [&](TokenBucket& bucket, uint32_t tokens, std::string_view reason) {
    return bucket.Take(tokens, now) || Refuse(reason, NGHTTP2_ENHANCE_YOUR_CALM);
  };
  const auto idle = [&](uint32_t tokens) { return take(idle_frames_, tokens, "frame_flood"); };
  switch (type) {
    case NGHTTP2_DATA: {
      if (stream <= highest_stream_ && !open_streams_.contains(stream)) {
        return Refuse("malformed", NGHTTP2_STREAM_CLOSED);
      }
      if (ends_stream) open_streams_.erase(stream);
      // Padding would make an empty frame look full; nobody pads requests.
      return ends_stream || (length >= kSmallData && (flags & NGHTTP2_FLAG_PADDED) == 0) || idle(1);
    }
    case NGHTTP2_HEADERS:
      continuations_ = 0;
      block_ = {now, ends_block};
      if (stream > highest_stream_) {
        highest_stream_ = stream;
        if (ends_stream) return true;
        open_streams_.insert(stream);
        return open_streams_.size() <= 2 * max_streams_ ||
               Refuse("frame_flood", NGHTTP2_ENHANCE_YOUR_CALM);
      }
      // Trailers.
      if (!open_streams_.contains(stream)) return Refuse("malformed", NGHTTP2_STREAM_CLOSED);
      if (ends_stream) open_streams_.erase(stream);
      return idle(1);
    case NGHTTP2_CONTINUATION:
      if (block_) block_->in_last_frame = ends_block;
      if (++continuations_ > kMaxContinuations)
        return Refuse("header_flood", NGHTTP2_ENHANCE_YOUR_CALM);
      return idle(1);
    case NGHTTP2_RST_STREAM:
      open_streams_.erase(stream);
      return take(resets_, 1, "reset_flood");
    case NGHTTP2_PRIORITY:
      if (stream == 0) return Refuse("malformed", NGHTTP2_PROTOCOL_ERROR);
      return idle(1);
    case NGHTTP2_SETTINGS:
      return idle(1 + length / 6);
    default:
      return idle(1);
  }
}

bool FrameMeter::Refuse(std::string_view reason, uint32_t error) {
  reason_ = reason;
  error_ = error;
  return false;
}

}  // namespace strata::http
