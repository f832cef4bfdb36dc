// What an HTTP/2 session does with what it receives: so much in a turn, and what that makes it hold
// is counted.
#include <algorithm>
#include <utility>

#include "lib/transport/http/header_names.h"
#include "lib/transport/http/http2_session.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

// Before other connections have their turn: some of a millisecond.
constexpr size_t kRequestsPerTurn = 32;
// What nghttp2 gets at a time. Requests take at least 13 bytes.
constexpr size_t kSlice = 512;
// nghttp2 keeps a field until it is whole, and what is Huffman coded may take 8 bits for 5.
constexpr size_t kBytesPerBlockByte = 2;
// So much of a header block isn't counted: every connection takes more than that.
constexpr size_t kFreeBlockBytes = 1 << 10;

}  // namespace

void Http2Session::Receive(std::string_view bytes, MonotonicTime now) {
  if (ended_) return;
  now_ = now;
  requests_in_turn_ = 0;
  bytes = input_.Join(bytes);
  while (!bytes.empty() && !ended_ && !WaitsForReader()) {
    // What there is no room for is taken at once: its requests are refused, which is cheap.
    if (requests_in_turn_ >= kRequestsPerTurn &&
        Hold(held_input_, HeldOfBlock() + std::max(bytes.size(), input_.size()))) {
      break;
    }
    Take(bytes.substr(0, kSlice));
    bytes.remove_prefix(std::min(bytes.size(), kSlice));
  }
  if (ended_) return input_.Drop();
  input_.Keep(bytes);
  if (input_.empty() && now >= confirm_drain_at_) ConfirmDrain();
  if (!HoldInput()) End(NGHTTP2_ENHANCE_YOUR_CALM, "header_flood");
}

void Http2Session::Take(std::string_view slice) {
  if (!meter_.Pass(slice, now_)) return End(meter_.error(), meter_.reason());
  const ssize_t n = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(slice.data()), slice.size());
  if (n >= 0 || ended_) return;
  if (n == NGHTTP2_ERR_FLOODED) return End(NGHTTP2_ENHANCE_YOUR_CALM, "frame_flood");
  End(NGHTTP2_PROTOCOL_ERROR, "malformed");
}

size_t Http2Session::HeldOfBlock() const {
  const size_t bytes = meter_.block() ? meter_.block()->bytes : 0;
  return kBytesPerBlockByte * (bytes - std::min(bytes, kFreeBlockBytes));
}

// Counts what waits for its turn, and what has come of a header block whose rest may not come for a
// while. False if all sessions together hold too much even without its request: nghttp2 has to
// read the block to its end, whoever it is for.
bool Http2Session::HoldInput() {
  const size_t bytes = HeldOfBlock() + input_.size();
  const bool held = Hold(held_input_, bytes) && (receiving_ == nullptr || HoldHeaders(*receiving_));
  if (held || receiving_ == nullptr) return held;
  Reset(*std::exchange(receiving_, nullptr), NGHTTP2_REFUSED_STREAM);
  return Hold(held_input_, bytes);
}

// Counts what has come of its headers; false if all sessions together hold too much.
bool Http2Session::HoldHeaders(Stream& stream) {
  const size_t headers = stream.request.headers.size();
  return Hold(stream.held_bytes,
              kStreamBytes + std::min(stream.header_bytes, options_.max_header_bytes) +
                  (headers > kReservedHeaders ? TableBytes(headers - kReservedHeaders) : 0));
}

// `held` is what is counted of something, which takes so many bytes now.
bool Http2Session::Hold(size_t& held, size_t bytes) {
  if (!held_.Set(held_.bytes() - held + bytes)) return false;
  held = bytes;
  return true;
}

void Http2Session::ReceiveEnd(MonotonicTime) {
  ended_ = true;
  broken_ = true;
}

}  // namespace strata::http
