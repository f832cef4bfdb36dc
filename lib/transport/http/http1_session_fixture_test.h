// A session that is told bytes, and short words for what it answers.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "lib/transport/http/session_fixture_test.h"

namespace strata::http {

inline constexpr std::string_view kDate = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";

class Http1SessionTest : public ::testing::Test, protected WithSession {
 protected:
  Http1SessionTest() : WithSession(MakeHttp1Session) {}

  void Receive(std::string_view bytes) { session_->Receive(bytes, clock_.Now()); }
  std::string Drain() { return http::Drain(*session_, clock_.Now()); }
  void Pass(std::chrono::milliseconds time) {
    clock_.Advance(time);
    if (clock_.Now() >= session_->next_deadline()) session_->OnDeadline(clock_.Now());
  }
};

inline std::string Ok(std::string_view body, std::string_view more = {}) {
  return fmt::format("HTTP/1.1 200 OK\r\nAudit-Id: 1\r\n{}Content-Length: {}\r\n{}\r\n{}", kDate,
                     body.size(), more, body);
}

inline std::string Refused(std::string_view status, std::string_view text) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\n{}Content-Length: "
      "{}\r\nConnection: close\r\n\r\n{}",
      status, kDate, text.size(), text);
}

inline std::string Bad(std::string_view detail) {
  return Refused("400 Bad Request", fmt::format("400 Bad Request: {}", detail));
}

inline std::string FlowHead(std::string_view framing = "Transfer-Encoding: chunked\r\n",
                            std::string_view version = "1.1") {
  return fmt::format("HTTP/{} 200 OK\r\nAudit-Id: 1\r\n{}{}\r\n", version, kDate, framing);
}

}  // namespace strata::http
