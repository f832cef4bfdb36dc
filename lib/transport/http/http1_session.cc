#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "lib/transport/http/http1_parser.h"
#include "lib/transport/http/response_head.h"
#include "lib/transport/http/session.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

// Of a body that flows: what is asked for at a time, and the longest line before it.
constexpr size_t kPieceBytes = 16 << 10;
constexpr size_t kMaxChunkHead = sizeof("4000\r\n") - 1;

// "audit-id" as Go writes it: "Audit-Id".
void AppendCanonical(std::string& out, std::string_view name) {
  bool first = true;
  for (const char c : name) {
    out.push_back(first && c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c);
    first = c == '-';
  }
}

class Http1Session final : public Session {
 public:
  Http1Session(const SessionOptions& options, SessionTotals& totals,
               std::shared_ptr<const Peer> peer, SessionListener& listener,
               const base::Clock& clock, MonotonicTime now)
      : options_(options),
        held_(totals.held),
        peer_(std::move(peer)),
        listener_(listener),
        date_(clock),
        phase_start_(now) {}

  ~Http1Session() override { held_.Give(counted_bytes_); }

  void Receive(std::string_view bytes, MonotonicTime now) override {
    if (!reading_) return;
    if (input_.empty()) {
      bytes.remove_prefix(Consume(bytes, now));
      if (reading_) input_ = bytes;
    } else {
      input_.append(bytes);
      ConsumeInput(now);
    }
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
    if (slot == nullptr || slot->answer) return;
    --unanswered_;
    slot->gone = nullptr;
    slot->answer = std::move(response);
  }

  void Abandon(StreamId stream, MonotonicTime) override {
    if (stream == answer_id_ && flow_ != nullptr) {
      head_.clear();
      head_sent_ = 0;
      return BreakOff();
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
    if (stream == answer_id_) waits_for_body_ = false;
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
    const auto copy = [&](const std::string& from, size_t& position) {
      const size_t n = std::min(buffer.size() - filled, from.size() - position);
      std::copy_n(from.data() + position, n, buffer.data() + filled);
      position += n;
      filled += n;
    };
    while (filled < buffer.size()) {
      if (head_sent_ < head_.size()) {
        copy(head_, head_sent_);
      } else if (body_ != nullptr && body_sent_ < body_->size()) {
        copy(*body_, body_sent_);
      } else if (flow_ != nullptr) {
        if (!NextPiece(now)) break;
      } else if (!NextOutput(now)) {
        break;
      }
    }
    return filled;
  }

  bool wants_input() const override {
    return reading_ && slots_.size() < options_.max_pipelined &&
           held_bytes_ < options_.max_held_bytes;
  }
  bool finished() const override { return closing_ && !HasOutput(); }

  void StartDrain(MonotonicTime) override {
    draining_ = true;
    if (slots_.empty() && !in_head() && input_.empty()) Finish({});
  }

  MonotonicTime next_deadline() const override {
    if (closing_) return kNever;
    if (parser_) {
      return phase_start_ + (parser_->state() == Http1Parser::State::kHead ? options_.header_timeout
                                                                           : options_.body_timeout);
    }
    return slots_.empty() && reading_ && flow_ == nullptr ? phase_start_ + options_.idle_timeout
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
    if (body_ == nullptr || body_sent_ == body_->size() || now < answer_start_ + kSlowestAge)
      return std::nullopt;
    const double seconds = std::chrono::duration<double>(now - answer_start_).count();
    SlowestAnswer answer{answer_id_, static_cast<double>(body_sent_) / seconds,
                         body_->size() - body_sent_};
    // Those that wait behind it go with it.
    for (const Slot& slot : slots_) {
      if (slot.answer && slot.answer->body != nullptr)
        answer.bytes_left += slot.answer->body->size();
    }
    return answer;
  }

  void Cut(StreamId stream, MonotonicTime) override {
    if (stream != answer_id_ || body_ == nullptr) return;
    body_ = nullptr;
    head_.clear();
    head_sent_ = 0;
    for (Slot& slot : slots_) {
      if (slot.answer) slot.answer->body = nullptr;
    }
    Finish("slow_reader");
  }

  std::optional<MonotonicTime> idle_since() const override {
    if (!slots_.empty() || HasOutput()) return std::nullopt;
    return phase_start_;
  }
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
    std::optional<Response> answer = {};
    std::function<void()> gone = {};  // until there is an answer
  };

  Slot* Find(StreamId id) {
    if (slots_.empty() || id < slots_.front().id || id > slots_.back().id) return nullptr;
    return &slots_[id - slots_.front().id];
  }

  bool HasOutput() const {
    return head_sent_ < head_.size() || flow_ != nullptr ||
           (body_ != nullptr && body_sent_ < body_->size());
  }

  // Some of a request's head has come.
  bool in_head() const { return parser_ && parser_->state() == Http1Parser::State::kHead; }

  void StopReading() {
    reading_ = false;
    input_ = {};
  }

  // Counts what is held now with what all sessions hold; false, and nothing more is counted, if it
  // doesn't fit.
  bool CountHeld() {
    const size_t bytes = held_bytes_ + input_.size();
    if (bytes > counted_bytes_) {
      if (!held_.Take(bytes - counted_bytes_)) return false;
    } else if (bytes < counted_bytes_) {
      held_.Give(counted_bytes_ - bytes);
    }
    counted_bytes_ = bytes;
    return true;
  }

  // Nothing more is sent than what has been begun.
  void Finish(std::string_view reason) {
    StopReading();
    closing_ = true;
    if (reason_.empty()) reason_ = reason;
  }

  void ConsumeInput(MonotonicTime now) {
    // Parsing calls the listener, which may answer, but nothing that comes back here.
    std::string input = std::exchange(input_, {});
    input.erase(0, Consume(input, now));
    if (reading_) input_ = std::move(input);
  }

  // Parses as far as it gets; returns how many bytes are done with.
  size_t Consume(std::string_view bytes, MonotonicTime now) {
    size_t used = 0;
    while (wants_input() && used < bytes.size()) {
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
    slot.held_bytes = parser_->header_bytes();
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
    if (parser_ && !in_head()) return LeaveBody({});
    RefuseNext(NoRoom(), {});
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
                            !(draining_ && slots_.size() == 1 && !in_head());
    WriteHead(slot, keep_alive, now);
    answer_id_ = slot.id;
    answer_start_ = now;
    body_sent_ = 0;
    if (!slot.is_head && HasContent(slot.answer->status)) {
      body_ = std::move(slot.answer->body);
      flow_ = std::move(slot.answer->flow);
      chunked_ = slot.version == Version::kHttp11;
    } else {
      body_ = nullptr;
    }
    waits_for_body_ = false;
    held_bytes_ -= slot.held_bytes;
    slots_.pop_front();
    phase_start_ = parser_ ? phase_start_ : now;
    if (!keep_alive) {
      Finish({});
    } else if (!input_.empty()) {
      ConsumeInput(now);
    }
    CountHeld();
    return true;
  }

  // Makes the next piece of the body that flows current, in its framing; false if there is none
  // yet.
  bool NextPiece(MonotonicTime now) {
    if (waits_for_body_) return false;
    head_.resize(kMaxChunkHead + kPieceBytes);
    const Body::Piece piece = flow_->Next(std::span(head_).subspan(kMaxChunkHead, kPieceBytes));
    head_.resize(kMaxChunkHead + piece.bytes);
    head_sent_ = kMaxChunkHead;
    if (chunked_ && piece.bytes > 0) {
      const std::string size = fmt::format("{:x}\r\n", piece.bytes);
      head_sent_ -= size.size();
      size.copy(head_.data() + head_sent_, size.size());
      head_ += "\r\n";
    }
    if (piece.rest == Body::Rest::kNone) {
      if (chunked_) head_ += "0\r\n\r\n";
      flow_ = nullptr;
      if (!parser_) phase_start_ = now;
    } else if (piece.rest == Body::Rest::kBroken) {
      BreakOff();
    } else {
      waits_for_body_ = piece.bytes == 0;
    }
    return true;
  }

  // The client must not take what it has for the whole.
  void BreakOff() {
    flow_ = nullptr;
    Finish("abandoned");
  }

  void WriteHead(const Slot& slot, bool keep_alive, MonotonicTime now) {
    const Response& response = *slot.answer;
    head_.clear();
    head_sent_ = 0;
    head_ += slot.version == Version::kHttp10 ? "HTTP/1.0 " : "HTTP/1.1 ";
    fmt::format_to(std::back_inserter(head_), "{} {}\r\n", response.status,
                   ReasonPhrase(response.status));
    for (const Header& header : response.headers) {
      AppendCanonical(head_, header.name);
      head_ += ": ";
      const size_t start = head_.size();
      head_ += header.value;
      std::replace_if(head_.begin() + static_cast<std::ptrdiff_t>(start), head_.end(), IsControl,
                      ' ');
      head_ += "\r\n";
    }
    head_ += "Date: ";
    head_ += date_.At(now);
    if (response.flow != nullptr) {
      if (HasContent(response.status) && !slot.is_head && slot.version == Version::kHttp11)
        head_ += "\r\nTransfer-Encoding: chunked";
    } else if (HasContent(response.status)) {
      fmt::format_to(std::back_inserter(head_), "\r\nContent-Length: {}",
                     response.body == nullptr ? 0 : response.body->size());
    }
    if (!keep_alive) {
      head_ += "\r\nConnection: close";
    } else if (slot.version == Version::kHttp10) {
      head_ += "\r\nConnection: keep-alive";
    }
    head_ += "\r\n\r\n";
  }

  const SessionOptions& options_;
  ByteBudget& held_;
  const std::shared_ptr<const Peer> peer_;
  SessionListener& listener_;
  DateHeader date_;

  std::string
      input_;  // received and not parsed: a part of a head, or requests beyond max_pipelined
  std::optional<Http1Parser> parser_;
  std::deque<Slot> slots_;
  StreamId next_id_ = 1;
  size_t unanswered_ = 0;
  size_t held_bytes_ = 0;      // of requests without an answer on its way
  size_t counted_bytes_ = 0;   // those and input_, in held_
  MonotonicTime phase_start_;  // of the head or the body that is being read, or of idleness
  bool reading_ = true;
  bool draining_ = false;
  bool closing_ = false;
  std::string_view reason_;

  StreamId answer_id_ = 0;  // of the answer that is being sent
  MonotonicTime answer_start_;
  std::string head_;
  size_t head_sent_ = 0;
  std::shared_ptr<const std::string> body_;
  size_t body_sent_ = 0;
  std::unique_ptr<Body> flow_;
  bool chunked_ = false;         // how it is sent; else the end of the connection is its end
  bool waits_for_body_ = false;  // until Resume
};

}  // namespace

std::unique_ptr<Session> MakeHttp1Session(const SessionOptions& options, SessionTotals& totals,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now) {
  return std::make_unique<Http1Session>(options, totals, std::move(peer), listener, clock, now);
}

}  // namespace strata::http
