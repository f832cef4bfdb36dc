// A session that is told frames, and short words for them and for what it sends.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/session_fixture_test.h"
#include "test/support/http2_bytes.h"

namespace strata::http {

using std::chrono::milliseconds;
using testing_support::Frame;
using testing_support::kPreface;
using testing_support::Literal;

inline std::string Start() {
  return std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, "");
}

inline std::string Get(std::string_view path = "/a", std::string_view method = "GET") {
  return Literal(":method", method) + Literal(":scheme", "https") + Literal(":path", path) +
         Literal(":authority", "x:443");
}

inline std::string Head(uint32_t stream, std::string_view block, bool end_stream = true) {
  return Frame(NGHTTP2_HEADERS,
               NGHTTP2_FLAG_END_HEADERS | (end_stream ? NGHTTP2_FLAG_END_STREAM : 0), stream,
               block);
}

struct Sent {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;

  uint32_t Number(size_t offset) const {
    uint32_t n = 0;
    for (size_t i = offset; i < offset + 4; ++i) n = n << 8 | static_cast<uint8_t>(payload.at(i));
    return n;
  }
};

inline std::vector<Sent> Split(std::string_view bytes) {
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<uint8_t>(bytes.at(i)));
  };
  std::vector<Sent> frames;
  while (bytes.size() >= 9) {
    const size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
    frames.push_back({static_cast<uint8_t>(byte(3)), static_cast<uint8_t>(byte(4)),
                      byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8),
                      std::string(bytes.substr(9, length))});
    bytes.remove_prefix(std::min(bytes.size(), 9 + length));
  }
  return frames;
}

// "RST_STREAM 1 7", "GOAWAY 3 0": the frames that end something, in short, and answers without
// their headers.
inline std::string Summary(std::string_view bytes) {
  std::string out;
  for (const Sent& frame : Split(bytes)) {
    const char* end = (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0 ? "." : "";
    std::string line;
    switch (frame.type) {
      case NGHTTP2_HEADERS:
        line = fmt::format("HEADERS {}{}", frame.stream, end);
        break;
      case NGHTTP2_DATA:
        line = fmt::format("DATA {}{} {}", frame.stream, end, frame.payload);
        break;
      case NGHTTP2_RST_STREAM:
        line = fmt::format("RST_STREAM {} {}", frame.stream, frame.Number(0));
        break;
      case NGHTTP2_GOAWAY:
        line = fmt::format("GOAWAY {} {}", frame.Number(0), frame.Number(4));
        break;
      case NGHTTP2_PING:
        line = fmt::format("PING {} {}", frame.flags, frame.payload);
        break;
      default:
        continue;
    }
    if (!out.empty()) out += ", ";
    out += line;
  }
  return out;
}

class Http2SessionTest : public ::testing::Test, protected WithSession {
 protected:
  Http2SessionTest() : WithSession(MakeHttp2Session) {}

  // What is sent in answer to `bytes`.
  std::string Receive(std::string_view bytes) {
    return Exchange(*session_, bytes, clock_.Now(), bytes.size());
  }
  std::string Pass(milliseconds time) {
    clock_.Advance(time);
    recorder_.now = clock_.Now();
    if (clock_.Now() >= session_->next_deadline()) session_->OnDeadline(clock_.Now());
    return Summary(Drain(*session_, clock_.Now()));
  }
  std::string Answer(StreamId stream) {
    session_->Respond(stream, Recorder::Echo(Request{}), clock_.Now());
    return Summary(Drain(*session_, clock_.Now()));
  }
};

}  // namespace strata::http
