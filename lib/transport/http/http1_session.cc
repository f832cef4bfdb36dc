#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "lib/transport/http/header_names.h"
#include "lib/transport/http/http1_output.h"
#include "lib/transport/http/http1_parser.h"
#include "lib/transport/http/kept_input.h"
#include "lib/transport/http/response_head.h"
#include "lib/transport/http/session.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

class Http1Session final : public Session {
 public:
  Http1Session(const SessionOptions& options, SessionTotals& totals,
               std::shared_ptr<const Peer> peer, SessionListener& listener,
               const base::Clock& clock, MonotonicTime now)
      : options_(options),
        peer_(std::move(peer)),
        listener_(listener),
        held_(totals.held, LetIn(options, *peer_)),
        phase_start_(now),
        output_(clock) {}

  void Receive(std::string_view bytes, MonotonicTime now) override {
    if (!reading_) return;
    bytes = input_.Join(bytes);
    bytes.remove_prefix(Consume(bytes, now));
    if (reading_) input_.Keep(bytes);
    left_ = !input_.empty() && !may_take();
    EndIfDrained();
    if (!CountHeld()) RefuseForRoom();
  }

  void ReceiveEnd(MonotonicTime) override {
    StopReading();
    parser_.reset();
    CountHeld();
    if (slots_.empty()) closing_ = true;
  }

  void Respond(StreamId stream, Response response, MonotonicTime) override {
    Slot* slot = Find(stream);
    if (slot == nullptr || slot->answer || slot->abandoned) return;
    --unanswered_;
    slot->gone = nullptr;
    slot->answer = std::move(response);
  }

  void Abandon(StreamId stream, MonotonicTime) override {
    if (stream == output_.stream() && output_.flows()) {
      output_.Drop();
      EndFlow();
      return Finish("abandoned");
    }
    Slot* slot = Find(stream);
    if (slot == nullptr || slot->abandoned) return;
    if (slot->answer) {
      if (slot->answer->flow == nullptr) return;
      slot->answer.reset();
    } else {
      --unanswered_;
    }
    slot->gone = nullptr;
    slot->abandoned = true;
  }

  void Resume(StreamId stream, MonotonicTime) override {
    if (stream == output_.stream()) output_.Resume();
  }

  void OnGone(StreamId stream, std::function<void()> gone) override {
    Slot* slot = Find(stream);
    if (slot == nullptr) return gone();
    if (!slot->answer && !slot->abandoned) slot->gone = std::move(gone);
  }

  void TellGone() override {
    std::deque<Slot> slots = std::exchange(slots_, {});
    for (Slot& slot : slots) {
      if (slot.gone) slot.gone();
    }
  }

  size_t Produce(std::span<char> buffer, MonotonicTime now) override {
    size_t filled = 0;
    while (filled < buffer.size()) {
      const bool was_sending = output_.pending();
      filled += output_.Produce(buffer.subspan(filled));
      if (output_.broken()) Finish("abandoned");
      if (!output_.flows()) EndFlow();
      if (output_.pending()) break;
      if (was_sending && !parser_) phase_start_ = now;
      if (!NextOutput(now)) break;
    }
    return filled;
  }

  bool wants_input() const override { return may_take() && !left_; }
  bool wants_turn() const override { return may_take() && left_; }
  bool finished() const override { return closing_ && !output_.pending(); }

  void StartDrain(MonotonicTime) override {
    draining_ = true;
    EndIfDrained();
  }

  MonotonicTime next_deadline() const override {
    if (closing_) return kNever;
    if (parser_) {
      return phase_start_ + (parser_->state() == Http1Parser::State::kHead ? options_.header_timeout
                                                                           : options_.body_timeout);
    }
    return slots_.empty() && reading_ && !output_.pending() ? phase_start_ + options_.idle_timeout
                                                            : kNever;
  }

  void OnDeadline(MonotonicTime now) override {
    if (now < next_deadline()) return;
    if (!parser_) return Finish("idle");
    if (!in_head()) return LeaveBody("body_timeout");
    // Answers to earlier requests may be on their way; they go out first, and this one is told why.
    RefuseNext(PlainError(408), "header_timeout");
  }

  std::optional<SlowestAnswer> Slowest(MonotonicTime now) const override {
    const bool has_body = output_.bytes_left() > 0 || output_.flows();
    if (!has_body || now < output_.begun() + kSlowestAge) return std::nullopt;
    const double seconds = std::chrono::duration<double>(now - output_.begun()).count();
    SlowestAnswer answer{output_.stream(), static_cast<double>(output_.bytes_sent()) / seconds,
                         output_.bytes_left()};
    // Those that wait behind it go with it.
    for (const Slot& slot : slots_) {
      if (slot.answer && slot.answer->body != nullptr)
        answer.bytes_left += slot.answer->body->size();
    }
    // Of a body that flows nothing waits, but others may wait behind it.
    if (answer.bytes_left == 0) return std::nullopt;
    return answer;
  }

  void Cut(StreamId stream, MonotonicTime) override {
    if (stream != output_.stream() || (output_.bytes_left() == 0 && !output_.flows())) return;
    output_.Drop();
    EndFlow();
    for (Slot& slot : slots_) {
      if (slot.answer) slot.answer->body = nullptr;
    }
    Finish("slow_reader");
  }

  std::optional<MonotonicTime> idle_since() const override {
    if (!slots_.empty() || output_.pending()) return std::nullopt;
    return phase_start_;
  }
  // Whatever there is of an answer is produced: the socket holds it up, or nobody.
  std::optional<MonotonicTime> stalled_since() const override { return std::nullopt; }
  size_t in_progress() const override { return unanswered_; }
  std::string_view close_reason() const override { return reason_; }

 private:
  // A request whose head has been read, in the order of arrival.
  struct Slot {
    explicit Slot(StreamId stream) : id(stream) {}
    StreamId id;
    Version version = Version::kHttp11;
    bool is_head = false;
    bool keep_alive = false;
    bool abandoned = false;
    size_t held_bytes = 0;
    std::optional<Response> answer;
    std::function<void()> gone;  // until there is an answer
  };

  Slot* Find(StreamId id) {
    if (slots_.empty() || id < slots_.front().id || id > slots_.back().id) return nullptr;
    return &slots_[id - slots_.front().id];
  }

  // Some of a request's head has come.
  bool in_head() const { return parser_ && parser_->state() == Http1Parser::State::kHead; }

  // One more request.
  bool may_take() const {
    return reading_ && slots_.size() < options_.max_pipelined &&
           held_bytes_ < options_.max_held_bytes;
  }

  void StopReading() {
    reading_ = left_ = false;
    input_.Drop();
  }

  // Counts what is held now with what all sessions hold; false, and nothing more is counted, if it
  // doesn't fit.
  bool CountHeld() {
    return held_.Set(held_bytes_ + input_.size() + (parser_ ? parser_->held_bytes() : 0));
  }

  // What was left of the last request may be all that a draining connection had to wait for.
  void EndIfDrained() {
    if (draining_ && reading_ && slots_.empty() && !in_head() && input_.empty()) Finish({});
  }

  // Nothing more is sent than what has been begun.
  void Finish(std::string_view reason) {
    StopReading();
    closing_ = true;
    if (reason_.empty()) reason_ = reason;
  }

  // Parses as far as it gets; returns how many bytes are done with. They may be gone once it has
  // stopped reading. It calls the listener, which may answer, but nothing that comes back here.
  size_t Consume(std::string_view bytes, MonotonicTime now) {
    size_t used = 0;
    while (may_take() && used < bytes.size()) {
      if (!parser_)
        parser_.emplace(
            Http1Parser::Limits{options_.max_header_bytes, options_.max_dropped_body_bytes});
      const bool had_started = parser_->started();
      const auto before = parser_->state();
      const size_t n = parser_->Parse(bytes.substr(used));
      used += n;
      if (!had_started && parser_->started()) phase_start_ = now;
      if (!parser_->started()) parser_.reset();
      if (!parser_) break;
      if (parser_->state() == Http1Parser::State::kRefused) {
        Refuse(before);
        break;
      }
      if (before == Http1Parser::State::kHead && parser_->state() != before) {
        Dispatch(now);
        if (!parser_) continue;
      }
      if (parser_->state() == Http1Parser::State::kComplete) {
        parser_.reset();
        phase_start_ = now;
      } else if (parser_->body_too_large()) {
        LeaveBody({});
      } else if (parser_->state() == before) {
        break;
      }
    }
    return used;
  }

  // The head has been read. Nobody reads bodies: what there is of one is dropped as it comes.
  void Dispatch(MonotonicTime now) {
    phase_start_ = now;
    Slot& slot = slots_.emplace_back(next_id_++);
    slot.version = parser_->request().version;
    slot.is_head = parser_->request().method == "HEAD";
    slot.held_bytes = parser_->header_bytes() + TableBytes(parser_->request().headers.size());
    held_bytes_ += slot.held_bytes;
    // Who waits to be asked for a body isn't, and whether it will come can't be told then (RFC 9110
    // §10.1.1; Go's server closes too).
    const bool leaves_body = parser_->state() == Http1Parser::State::kBody &&
                             (parser_->expects_continue() || parser_->body_too_large());
    slot.keep_alive = parser_->keep_alive() && !leaves_body;
    Request request = std::move(parser_->request());
    request.peer = peer_;
    // RFC 9112 §9.6: nothing after the request that closes the connection is looked at.
    if (!slot.keep_alive) {
      parser_.reset();
      StopReading();
    }
    if (!CountHeld()) {
      held_bytes_ -= std::exchange(slot.held_bytes, 0);
      return Refuse(slot, NoRoom(), {});
    }
    ++unanswered_;
    listener_.OnRequest(slot.id, std::move(request));
  }

  static Response NoRoom() {
    Response response = PlainError(429);
    response.headers.Add("retry-after", "1");
    return response;
  }

  // The answer to what isn't a request.
  void RefuseNext(Response response, std::string_view reason) {
    Refuse(slots_.emplace_back(next_id_++), std::move(response), reason);
  }

  // The last request gets this instead of its handler's answer, and the connection closes.
  void Refuse(Slot& slot, Response response, std::string_view reason) {
    slot.answer = std::move(response);
    if (reason_.empty()) reason_ = reason;
    parser_.reset();
    StopReading();
  }

  void Refuse(Http1Parser::State before) {
    Response response = PlainError(parser_->refusal(), parser_->refusal_detail());
    const std::string_view reason = parser_->refusal() == 431 ? "header_flood" : "malformed";
    if (before == Http1Parser::State::kHead) return RefuseNext(std::move(response), reason);
    Slot* slot = Find(next_id_ - 1);
    if (slot == nullptr || slot->answer || slot->abandoned) return LeaveBody(reason);
    --unanswered_;
    const std::function<void()> gone = std::exchange(slot->gone, nullptr);
    Refuse(*slot, std::move(response), reason);
    if (gone) gone();
  }

  void RefuseForRoom() {
    if (parser_ && !in_head()) {
      LeaveBody({});
    } else {
      RefuseNext(NoRoom(), {});
    }
    CountHeld();
  }

  // Nothing after this body can be told from it: its request is the connection's last.
  void LeaveBody(std::string_view reason) {
    parser_.reset();
    Slot* slot = Find(next_id_ - 1);
    if (slot == nullptr) return Finish(reason);
    slot->keep_alive = false;
    StopReading();
    if (reason_.empty()) reason_ = reason;
  }

  // Makes the next response current; false if there is none yet.
  bool NextOutput(MonotonicTime now) {
    if (closing_) return false;
    if (slots_.empty()) {
      if (!reading_) closing_ = true;
      return false;
    }
    Slot& slot = slots_.front();
    if (slot.abandoned) {
      Finish("abandoned");
      return false;
    }
    if (!slot.answer) return false;
    const bool ends_with_connection =
        slot.answer->flow != nullptr && slot.version == Version::kHttp10;
    const bool keep_alive = slot.keep_alive && !slot.answer->close_connection &&
                            !ends_with_connection &&
                            !(draining_ && slots_.size() == 1 && !in_head() && !left_);
    output_.Begin(slot.id, *std::move(slot.answer), slot.version, slot.is_head,
                  keep_alive ? Http1Output::Then::kKeptAlive : Http1Output::Then::kCloses, now);
    if (output_.flows()) {
      flow_held_bytes_ = slot.held_bytes;
    } else {
      held_bytes_ -= slot.held_bytes;
    }
    slots_.pop_front();
    phase_start_ = parser_ ? phase_start_ : now;
    if (!keep_alive) Finish({});
    CountHeld();
    return true;
  }

  // Who answers with a body that flows holds the request until that ends.
  void EndFlow() {
    if (flow_held_bytes_ == 0) return;
    held_bytes_ -= std::exchange(flow_held_bytes_, 0);
    CountHeld();
  }

  const SessionOptions& options_;
  const std::shared_ptr<const Peer> peer_;
  SessionListener& listener_;

  KeptInput input_;    // not parsed: a part of a head, or requests for which a bound left no place
  bool left_ = false;  // the latter
  std::optional<Http1Parser> parser_;
  std::deque<Slot> slots_;
  StreamId next_id_ = 1;
  size_t unanswered_ = 0;
  size_t held_bytes_ = 0;       // of requests without an answer on its way, and
  size_t flow_held_bytes_ = 0;  // of that whose answer's body flows
  ByteShare held_;              // those, input_, and what the parser keeps
  MonotonicTime phase_start_;   // of the head or the body that is being read, or of idleness
  bool reading_ = true;
  bool draining_ = false;
  bool closing_ = false;
  std::string_view reason_;

  Http1Output output_;
};

}  // namespace

std::unique_ptr<Session> MakeHttp1Session(const SessionOptions& options, SessionTotals& totals,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now) {
  return std::make_unique<Http1Session>(options, totals, std::move(peer), listener, clock, now);
}

}  // namespace strata::http
