// What both sessions' fuzz targets do: the first byte says how the rest is cut, answered and
// drained.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "lib/transport/http/session_fixture_test.h"

namespace strata::http {

inline void CutSlowest(Session& session, base::FakeClock& clock) {
  clock.Advance(std::chrono::seconds(2));
  if (const auto slowest = session.Slowest(clock.Now())) session.Cut(slowest->stream, clock.Now());
}

template <typename Make>
void FuzzSession(const uint8_t* data, size_t size, Make make) {
  if (size == 0) return;
  const uint8_t mode = data[0];
  const size_t piece = (mode & 7) == 0 ? size : (mode & 7);
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  SessionOptions options;
  options.max_header_bytes = 512;
  options.max_dropped_body_bytes = 256;
  options.max_held_bytes_in_all = 12'000;
  options.held_bytes_let_in = 256;
  options.max_held_bytes = 6000;
  options.max_concurrent_streams = 4;
  options.max_pipelined = 2;
  base::FakeClock clock;
  Recorder recorder;
  recorder.hold = (mode & 8) != 0;
  SessionTotals totals(options);
  ByteBudget& held = totals.held;
  // Another connection's, for some.
  if (!held.Take((mode & 128) != 0 ? 9000 : 0)) std::abort();
  const size_t held_before = held.used();
  auto session =
      make(options, totals, std::make_shared<const Peer>(), recorder, clock, clock.Now());
  recorder.session = session.get();
  recorder.now = clock.Now();
  recorder.watch = (mode & 8) != 0;
  // Some bodies flow, and each in another way.
  size_t flows = 0, ended = 0;
  recorder.answer = [&](const Request& request) {
    using Rest = Body::Rest;
    const size_t kind = request.target.size() % 4;
    if (kind == 0) return Recorder::Echo(request);
    ++flows;
    return Script::In({{request.target, kind == 1 ? Rest::kLater : Rest::kMore},
                       {kind == 2 ? request.method : "", Rest::kLater},
                       {"end", kind == 3 ? Rest::kBroken : Rest::kNone}},
                      &ended);
  };
  size_t sent = Exchange(*session, bytes, clock.Now(), piece, (mode & 16) != 0 ? 3 : 4096).size();
  if ((mode & 32) != 0) session->StartDrain(clock.Now());
  if ((mode & 64) != 0) session->ReceiveEnd(clock.Now());
  while (recorder.hold && session->in_progress() > 0) {
    recorder.hold = false;
    for (size_t i = 0; i < recorder.requests.size(); ++i) {
      const StreamId id = recorder.requests[i].first;
      if (id % 3 == 0) session->Abandon(id, clock.Now());
      // Of those that were given up some are answered all the same, and that changes nothing.
      if (id % 3 != 0 || (mode & 1) != 0)
        session->Respond(id, recorder.answer(recorder.requests[i].second), clock.Now());
    }
  }
  // A socket takes a few bytes, and then none for a while.
  if (std::string few(64, '\0'); (mode & 2) != 0) {
    sent += session->Produce(few, clock.Now());
    CutSlowest(*session, clock);
  }
  sent += Drain(*session, clock.Now()).size();
  for (int round = 0; round < 3; ++round) {
    for (const auto& [id, request] : recorder.requests)
      if (id % 5 != 0) session->Resume(id, clock.Now());
    sent += Drain(*session, clock.Now()).size();
  }
  if ((mode & 2) != 0) CutSlowest(*session, clock);
  for (const auto& [id, request] : recorder.requests) session->Abandon(id, clock.Now());
  sent += Drain(*session, clock.Now()).size();
  for (const auto& [id, request] : recorder.requests) {
    if (request.target.empty()) std::abort();
  }
  // Answers and errors, never more than what was asked for could explain.
  if (sent > 4096 + size * 512) std::abort();
  if (session->in_progress() != 0) std::abort();
  for (int i = 0; i < 5 && !session->finished(); ++i) {
    clock.Advance(std::chrono::seconds(100));
    if (clock.Now() >= session->next_deadline()) session->OnDeadline(clock.Now());
    Drain(*session, clock.Now());
  }
  if (!session->finished()) std::abort();
  session->TellGone();
  if (recorder.gone > recorder.requests.size()) std::abort();
  session.reset();
  if (ended != flows) std::abort();
  if (held.used() != held_before) std::abort();
}

}  // namespace strata::http
