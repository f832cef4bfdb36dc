#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "server/http/http1_parser.h"
#include "server/http/response_head.h"
#include "server/http/session.h"

namespace strata::http {
namespace {

using base::MonotonicTime;

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
  Http1Session(const SessionOptions& options, std::shared_ptr<const Peer> peer,
               SessionListener& listener, const base::Clock& clock, MonotonicTime now)
      : options_(options),
        peer_(std::move(peer)),
        listener_(listener),
        date_(clock),
        phase_start_(now) {}

  void Receive(std::string_view bytes, MonotonicTime now) override {
    if (!reading_) return;
    if (input_.empty()) {
      bytes.remove_prefix(Consume(bytes, now));
      if (reading_) input_ = bytes;
      return;
    }
    input_.append(bytes);
    ConsumeInput(now);
  }

  void ReceiveEnd(MonotonicTime) override {
    StopReading();
    // A request that hasn't come whole never will.
    if (parser_ && parser_->state() != Http1Parser::State::kHead) slots_.back().abandoned = true;
    parser_.reset();
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
    Slot* slot = Find(stream);
    if (slot == nullptr || slot->answer || slot->abandoned) return;
    --unanswered_;
    slot->gone = nullptr;
    slot->abandoned = true;
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
    if (slots_.empty() && !parser_ && input_.empty()) Finish({});
  }

  MonotonicTime next_deadline() const override {
    if (closing_) return kNever;
    if (parser_) {
      return phase_start_ + (parser_->state() == Http1Parser::State::kHead ? options_.header_timeout
                                                                           : options_.body_timeout);
    }
    return slots_.empty() && reading_ ? phase_start_ + options_.idle_timeout : kNever;
  }

  void OnDeadline(MonotonicTime now) override {
    if (now < next_deadline()) return;
    if (!parser_) return Finish("idle");
    const bool head = parser_->state() == Http1Parser::State::kHead;
    reason_ = head ? "header_timeout" : "body_timeout";
    // Answers to earlier requests may be on their way; they go out first, and this one is told why.
    if (head) OpenRefused();
    parser_.reset();
    StopReading();
    slots_.back().answer = PlainError(408);
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
    bool wants_continue = false;  // until the body has come or 100 was sent
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
    return head_sent_ < head_.size() || (body_ != nullptr && body_sent_ < body_->size());
  }

  void StopReading() {
    reading_ = false;
    input_ = {};
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
        parser_.emplace(Http1Parser::Limits{options_.max_header_bytes, options_.max_body_bytes});
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
      if (before == Http1Parser::State::kHead && parser_->state() != before) OpenSlot(now);
      if (parser_->state() == Http1Parser::State::kComplete || parser_->body_too_large()) {
        Dispatch(now);
      } else if (parser_->state() == before) {
        break;
      }
    }
    return used;
  }

  void OpenSlot(MonotonicTime now) {
    phase_start_ = now;
    Slot& slot = slots_.emplace_back(next_id_++);
    slot.version = parser_->request().version;
    slot.is_head = parser_->request().method == "HEAD";
    slot.keep_alive = parser_->keep_alive();
    slot.wants_continue = parser_->expects_continue() && !parser_->body_too_large();
  }

  // For the answer to what isn't a request.
  void OpenRefused() { slots_.emplace_back(next_id_++); }

  void Dispatch(MonotonicTime now) {
    Slot& slot = slots_.back();
    Request request = std::move(parser_->request());
    request.body_too_large = parser_->body_too_large();
    request.peer = peer_;
    slot.held_bytes = parser_->header_bytes() + request.body.size();
    slot.wants_continue = false;
    slot.keep_alive = slot.keep_alive && !request.body_too_large;
    held_bytes_ += slot.held_bytes;
    const bool last = !slot.keep_alive;
    parser_.reset();
    phase_start_ = now;
    ++unanswered_;
    // RFC 9112 §9.6: nothing after the request that closes the connection is looked at.
    if (last) StopReading();
    listener_.OnRequest(slot.id, std::move(request));
  }

  void Refuse(Http1Parser::State before) {
    const bool in_head = before == Http1Parser::State::kHead;
    if (in_head) OpenRefused();
    slots_.back().answer = PlainError(parser_->refusal(), parser_->refusal_detail());
    reason_ = parser_->refusal() == 431 ? "header_flood" : "malformed";
    parser_.reset();
    StopReading();
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
    if (!slot.answer) {
      if (!slot.wants_continue) return false;
      slot.wants_continue = false;
      SetHead("HTTP/1.1 100 Continue\r\n\r\n");
      return true;
    }
    const bool keep_alive = slot.keep_alive && !slot.answer->close_connection &&
                            !(draining_ && slots_.size() == 1 && !parser_);
    WriteHead(slot, keep_alive, now);
    body_sent_ = 0;
    body_ =
        slot.is_head || !HasContent(slot.answer->status) ? nullptr : std::move(slot.answer->body);
    held_bytes_ -= slot.held_bytes;
    slots_.pop_front();
    phase_start_ = parser_ ? phase_start_ : now;
    if (!keep_alive) {
      Finish({});
    } else if (!input_.empty()) {
      ConsumeInput(now);
    }
    return true;
  }

  void SetHead(std::string_view text) {
    head_ = text;
    head_sent_ = 0;
    body_ = nullptr;
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
    if (HasContent(response.status)) {
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
  const std::shared_ptr<const Peer> peer_;
  SessionListener& listener_;
  DateHeader date_;

  std::string
      input_;  // received and not parsed: a part of a head, or requests beyond max_pipelined
  std::optional<Http1Parser> parser_;
  std::deque<Slot> slots_;
  StreamId next_id_ = 1;
  size_t unanswered_ = 0;
  size_t held_bytes_ = 0;
  MonotonicTime phase_start_;  // of the head or the body that is being read, or of idleness
  bool reading_ = true;
  bool draining_ = false;
  bool closing_ = false;
  std::string_view reason_;

  std::string head_;
  size_t head_sent_ = 0;
  std::shared_ptr<const std::string> body_;
  size_t body_sent_ = 0;
};

}  // namespace

std::unique_ptr<Session> MakeHttp1Session(const SessionOptions& options,
                                          std::shared_ptr<const Peer> peer,
                                          SessionListener& listener, const base::Clock& clock,
                                          base::MonotonicTime now) {
  return std::make_unique<Http1Session>(options, std::move(peer), listener, clock, now);
}

}  // namespace strata::http
