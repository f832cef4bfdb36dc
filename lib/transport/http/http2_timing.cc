// What time does to an HTTP/2 session: who is idle, who is slow, and who has gone on too long.
#include <algorithm>

#include "lib/transport/http/http2_session.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

// A short body is on its way when its request is answered: it is cheaper to let it come, and to
// tell what is wrong with it, than to reset its stream.
constexpr std::chrono::milliseconds kPatienceWithBody{1'000};
}  // namespace

void Http2Session::StartMeasuring(Stream& stream) {
  stream.since = now_;
  stream.body_mark = stream.body_sent;
  stream.connection_mark = body_bytes_sent_;
}

bool Http2Session::TookEnough(const Stream& stream) const {
  const bool holds_itself_up =
      nghttp2_session_get_stream_remote_window_size(session_, stream.id) <= 0;
  const uint64_t took = holds_itself_up ? stream.body_sent - stream.body_mark
                                        : body_bytes_sent_ - stream.connection_mark;
  const double seconds = std::chrono::duration<double>(options_.stall_timeout).count();
  return took > 0 && static_cast<double>(took) >= seconds * options_.min_read_rate;
}

std::optional<SlowestAnswer> Http2Session::Slowest(MonotonicTime now) const {
  std::optional<SlowestAnswer> slowest;
  for (const auto& [id, stream] : streams_) {
    if (stream->response.body == nullptr || now < stream->since + kSlowestAge) continue;
    const double seconds = std::chrono::duration<double>(now - stream->since).count();
    const SlowestAnswer answer{static_cast<StreamId>(id),
                               static_cast<double>(stream->body_sent - stream->body_mark) / seconds,
                               stream->response.body->size() - stream->body_sent};
    if (!slowest || answer.bytes_per_second < slowest->bytes_per_second ||
        (answer.bytes_per_second == slowest->bytes_per_second &&
         answer.bytes_left > slowest->bytes_left)) {
      slowest = answer;
    }
  }
  return slowest;
}

MonotonicTime Http2Session::block_deadline() const {
  return meter_.block() ? meter_.block()->since + options_.header_timeout : kNever;
}

MonotonicTime Http2Session::next_deadline() const {
  if (ended_) return kNever;
  const MonotonicTime next =
      streams_.empty() ? idle_since_ + (greeted_ ? options_.idle_timeout : options_.header_timeout)
                       : next_check_;
  return std::min({next, confirm_drain_at_, block_deadline()});
}

void Http2Session::OnDeadline(MonotonicTime now) {
  now_ = now;
  if (now < next_deadline()) return;
  // What has come already is still served.
  if (now >= confirm_drain_at_ && input_.empty()) ConfirmDrain();
  // Nothing else of the connection can be read either: header blocks don't interleave.
  if (now >= block_deadline()) return End(NGHTTP2_ENHANCE_YOUR_CALM, "header_timeout");
  if (streams_.empty()) {
    if (now >= idle_since_ + (greeted_ ? options_.idle_timeout : options_.header_timeout)) {
      End(NGHTTP2_NO_ERROR, greeted_ ? "idle" : "header_timeout");
    }
    return;
  }
  if (now < next_check_) return;
  next_check_ = now + kCheckInterval;
  for (const auto& [id, stream] : streams_) {
    if (stream->closed) continue;
    switch (stream->phase) {
      case Phase::kResponse:
        if (stream->waits_for_body || now < stream->since + options_.stall_timeout) break;
        if (TookEnough(*stream)) {
          StartMeasuring(*stream);
        } else {
          totals_.slow_readers.fetch_add(1, std::memory_order_relaxed);
          Reset(*stream, NGHTTP2_CANCEL);
        }
        break;
      case Phase::kAnswered:
        // RFC 9113 §8.1: the client need not send the rest.
        if (now >= stream->since + kPatienceWithBody) Reset(*stream, NGHTTP2_NO_ERROR);
        break;
      case Phase::kHeaders:
      case Phase::kHandler:
        break;
    }
  }
}

}  // namespace strata::http
