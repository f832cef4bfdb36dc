// For this folder's tests: a listener that records requests and answers them, and a session driven
// by hand.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/transport/http/session.h"

namespace strata::http {

// A body that says what it is told to, step by step: an empty one with kLater waits for Resume.
class Script final : public Body {
 public:
  struct Said {
    std::string text;
    Rest rest = Rest::kMore;
  };

  // `ends` is counted up at its end.
  explicit Script(std::vector<Said> steps, size_t* ends = nullptr)
      : steps_(std::move(steps)), ends_(ends) {}
  ~Script() override {
    if (ends_ != nullptr) ++*ends_;
  }

  Piece Next(std::span<char> buffer) override {
    Said& step = steps_.at(step_);
    const size_t n = step.text.copy(buffer.data(), buffer.size());
    step.text.erase(0, n);
    if (!step.text.empty()) return {n, Rest::kMore};
    ++step_;
    return {n, step.rest};
  }

  static Response In(std::vector<Said> steps, size_t* ends = nullptr) {
    Response response;
    response.headers.Add("audit-id", "1");
    response.flow = std::make_unique<Script>(std::move(steps), ends);
    return response;
  }

 private:
  std::vector<Said> steps_;
  size_t step_ = 0;
  size_t* const ends_;
};

// Answers each request at once, unless `hold` is set.
class Recorder final : public SessionListener {
 public:
  void OnRequest(StreamId stream, Request request) override {
    requests.push_back({stream, std::move(request)});
    if (watch) session->OnGone(stream, [this] { ++gone; });
    if (!hold) session->Respond(stream, answer(requests.back().second), now);
  }

  static Response Echo(const Request& request) {
    Response response;
    response.headers.Add("audit-id", "1");
    response.body =
        std::make_shared<const std::string>(fmt::format("{} {}", request.method, request.target));
    return response;
  }

  std::vector<std::pair<StreamId, Request>> requests;
  std::function<Response(const Request&)> answer = Echo;
  bool hold = false;
  bool watch = false;  // counts in `gone` those whose client goes before they are answered
  size_t gone = 0;
  Session* session = nullptr;
  base::MonotonicTime now{};
};

// A session and what it is made of, made anew by Restart.
class WithSession {
  const decltype(&MakeHttp1Session) make_;

 protected:
  explicit WithSession(decltype(&MakeHttp1Session) make) : make_(make) { Restart(); }

  void Restart() {
    recorder_.requests.clear();
    session_ = make_(options_, totals_, peer_, recorder_, clock_, clock_.Now());
    recorder_.session = session_.get();
    recorder_.now = clock_.Now();
  }

  SessionOptions options_;
  SessionTotals totals_{options_};
  ByteBudget& held_ = totals_.held;
  base::FakeClock clock_;
  Recorder recorder_;
  const std::shared_ptr<Peer> peer_ = std::make_shared<Peer>();
  std::unique_ptr<Session> session_;
};

// Everything the session has to send, in all the turns that it wants, taken in pieces of at most
// `piece` bytes.
inline std::string Drain(Session& session, base::MonotonicTime now, size_t piece = 16 << 10) {
  std::string out, buffer(piece, '\0');
  for (;; session.Receive({}, now)) {
    while (const size_t n = session.Produce(buffer, now)) out.append(buffer, 0, n);
    if (!session.wants_turn()) return out;
  }
}

// Feeds `bytes` in pieces, as far as the session takes them, and returns what it sends meanwhile.
inline std::string Exchange(Session& session, std::string_view bytes, base::MonotonicTime now,
                            size_t piece, size_t out_piece = 16 << 10) {
  std::string out = Drain(session, now, out_piece);
  while (!bytes.empty() && session.wants_input()) {
    const size_t n = std::min(piece, bytes.size());
    // As a socket does: what is passed is gone afterwards.
    const std::string copy(bytes.substr(0, n));
    session.Receive(copy, now);
    bytes.remove_prefix(n);
    out += Drain(session, now, out_piece);
  }
  return out;
}

}  // namespace strata::http
