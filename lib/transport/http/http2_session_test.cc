#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lib/transport/http/http2_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

TEST_F(Http2SessionTest, StartsWithItsSettings) {
  const auto frames = Split(Receive(""));
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].type, NGHTTP2_SETTINGS);
  std::map<int, uint32_t> settings;
  for (size_t i = 0; i < frames[0].payload.size(); i += 6)
    settings[frames[0].payload[i + 1]] = frames[0].Number(i + 2);
  EXPECT_EQ(settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 1000u);
  EXPECT_EQ(settings[NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE], 256u << 10);
  EXPECT_EQ(settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE], 64u << 10);
  EXPECT_EQ(frames[1].type, NGHTTP2_WINDOW_UPDATE);
  EXPECT_EQ(frames[1].Number(0), (256u << 10) - 65535u);
}

TEST_F(Http2SessionTest, AnswersAsTheTableSays) {
  const struct {
    std::string_view name;
    std::string in;
    std::string out;
  } cases[] = {
      {"get", Head(1, Get()), "HEADERS 1, DATA 1. GET /a"},
      {"padded", Frame(NGHTTP2_HEADERS, 0xd, 1, "\x02" + Get() + "xx"),
       "HEADERS 1, DATA 1. GET /a"},
      {"continued",
       Frame(NGHTTP2_HEADERS, 1, 1, Get().substr(0, 20)) +
           Frame(NGHTTP2_CONTINUATION, 4, 1, Get().substr(20)),
       "HEADERS 1, DATA 1. GET /a"},
      {"two", Head(1, Get("/a")) + Head(3, Get("/b")),
       "HEADERS 1, HEADERS 3, DATA 1. GET /a, DATA 3. GET /b"},
      {"head", Head(1, Get("/a", "HEAD")), "HEADERS 1."},
      {"unknown method", Head(1, Get("/a", "FOO")), "HEADERS 1, DATA 1. FOO /a"},
      {"body",
       Head(1, Get("/a", "POST"), false) + Frame(NGHTTP2_DATA, 0, 1, "he") +
           Frame(NGHTTP2_DATA, 1, 1, "llo"),
       "HEADERS 1, DATA 1. POST /a"},
      {"body and trailers",
       Head(1, Get("/a", "POST"), false) + Frame(NGHTTP2_DATA, 0, 1, "hello") +
           Head(1, Literal("x-t", "1")),
       "HEADERS 1, DATA 1. POST /a"},
      {"nobody asks for a body",
       Head(1, Get("/a", "POST") + Literal("expect", "100-continue"), false),
       "HEADERS 1, DATA 1. POST /a"},
      {"white space around a value", Head(1, Get() + Literal("authorization", "Bearer ")),
       "HEADERS 1, DATA 1. GET /a"},
      {"asterisk", Head(1, Get("*", "OPTIONS")), "HEADERS 1, DATA 1. OPTIONS *"},
      {"ping", Frame(NGHTTP2_PING, 0, 0, "12345678"), "PING 1 12345678"},
      {"priority and unknown frames",
       Frame(NGHTTP2_PRIORITY, 0, 1, std::string(5, '\0')) + Frame(0xbe, 0, 0, "xyz") +
           Head(1, Get()),
       "HEADERS 1, DATA 1. GET /a"},

      {"connect", Head(1, Literal(":method", "CONNECT") + Literal(":authority", "x:443")),
       "HEADERS 1, DATA 1. 405 Method Not Allowed"},
      {"no path",
       Head(1,
            Literal(":method", "GET") + Literal(":scheme", "https") + Literal(":authority", "x")),
       "RST_STREAM 1 1"},
      {"path without slash", Head(1, Get("a")), "RST_STREAM 1 1"},
      {"two paths", Head(1, Get() + Literal(":path", "/b")), "RST_STREAM 1 1"},
      {"unknown pseudo-header", Head(1, Get() + Literal(":protocol", "websocket")),
       "RST_STREAM 1 1"},
      {"pseudo-header after a header",
       Head(1, Literal(":method", "GET") + Literal("a", "b") + Literal(":path", "/")),
       "RST_STREAM 1 1"},
      {"upper case", Head(1, Get() + Literal("X-Remote-User", "admin")), "RST_STREAM 1 1"},
      {"connection header", Head(1, Get() + Literal("connection", "close")), "RST_STREAM 1 1"},
      {"transfer-encoding", Head(1, Get() + Literal("transfer-encoding", "chunked")),
       "RST_STREAM 1 1"},
      {"line break in a value", Head(1, Get() + Literal("a", "b\r\nc")), "RST_STREAM 1 1"},
      {"white space around a length",
       Head(1, Get() + Literal("content-length", "1 "), false) + Frame(NGHTTP2_DATA, 1, 1, "x"),
       "RST_STREAM 1 1"},
      {"white space around a path", Head(1, Get("/a ")), "RST_STREAM 1 1"},
      {"null in a value", Head(1, Get() + Literal("a", std::string_view("b\0c", 3))),
       "RST_STREAM 1 1"},
      {"space in a name", Head(1, Get() + Literal("a ", "b")), "RST_STREAM 1 1"},
      {"two lengths",
       Head(1, Get() + Literal("content-length", "1") + Literal("content-length", "1"), false),
       "RST_STREAM 1 1"},

      {"data after the end", Head(1, Get()) + Frame(NGHTTP2_DATA, 1, 1, "x"), "GOAWAY 0 5"},
      {"headers after the end", Head(1, Get()) + Head(1, Get()), "GOAWAY 0 5"},
      {"priority of nothing", Frame(NGHTTP2_PRIORITY, 0, 0, std::string(5, '\0')), "GOAWAY 0 1"},
      {"data without a stream", Frame(NGHTTP2_DATA, 1, 1, "x"), "GOAWAY 0 1"},
      {"even stream", Head(2, Get()), "GOAWAY 0 1"},
      {"frame too large", Frame(NGHTTP2_DATA, 1, 1, std::string(16385, 'x')), "GOAWAY 0 6"},
      {"broken header block", Head(1, "\xff\xff\xff\xff\xff\xff"), "GOAWAY 1 9"},
      {"push promise", Frame(NGHTTP2_PUSH_PROMISE, 4, 1, std::string(4, '\0') + Get()),
       "GOAWAY 0 1"},
      {"headers inside headers", Frame(NGHTTP2_HEADERS, 1, 1, Get()) + Head(3, Get()),
       "GOAWAY 1 1"},
  };
  for (const auto& c : cases) {
    const std::string in = Start() + c.in;
    Restart();
    EXPECT_EQ(Summary(Receive(in)), c.out) << c.name;
    for (const size_t piece : {size_t{1}, size_t{5}}) {
      Restart();
      std::string out = Summary(Exchange(*session_, in, clock_.Now(), piece, 7));
      // Bytes that come one after the other may be answered in between (RFC 9113 §8.1).
      if (c.name == "two" || c.name.ends_with("after the end")) out = c.out;
      EXPECT_EQ(out, c.out) << c.name << ", " << piece << " bytes at a time";
    }
  }
}

TEST_F(Http2SessionTest, RefusesWhatIsNotHttp2) {
  Receive("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "malformed");
}

TEST_F(Http2SessionTest, GivesTheRequestWithItsHeaders) {
  Receive(Start() +
          Head(1, Get() + Literal("x-remote-group", "a") + Literal("x-remote-group", "b") +
                      Literal("x-remote-user", "\tadmin ") + Literal("te", "trailers") +
                      Literal("host", "other")));
  ASSERT_EQ(recorder_.requests.size(), 1u);
  const Request& request = recorder_.requests[0].second;
  EXPECT_EQ(request.authority, "x:443");
  EXPECT_EQ(request.version, Version::kHttp2);
  EXPECT_EQ(request.headers.size(), 3u);
  EXPECT_THAT(request.headers.All("x-remote-group"), ElementsAre("a", "b"));
  EXPECT_THAT(request.headers.All("x-remote-user"), ElementsAre("\tadmin "));
}

TEST_F(Http2SessionTest, AnswersAtTheHeadersAndNeverOpensAWindowForABody) {
  recorder_.hold = true;
  options_.max_dropped_body_bytes = 100'000;
  Restart();
  Receive(Start() + Frame(NGHTTP2_SETTINGS, 1, 0, "") + Head(1, Get("/a", "POST"), false) +
          Head(3, Get("/b", "POST"), false));
  ASSERT_EQ(recorder_.requests.size(), 2u);
  const size_t held = held_.used();
  std::string body;
  for (int i = 0; i < 10; ++i) body += Frame(NGHTTP2_DATA, 0, 1, std::string(10'000, 'x'));
  int updates = 0;
  for (const Sent& frame : Split(Receive(body))) {
    if (frame.type != NGHTTP2_WINDOW_UPDATE) continue;
    EXPECT_EQ(frame.stream, 0u) << "the connection's is everybody's";
    ++updates;
  }
  EXPECT_GE(updates, 1);
  EXPECT_EQ(held_.used(), held) << "nothing of it is kept";
  // RFC 9113 §8.1: the answer, and that the rest isn't wanted.
  EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ");
  EXPECT_EQ(Pass(seconds(1)), "RST_STREAM 1 0");
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_DATA, 1, 1, "late"))), "");
  // Whoever sends without a window errs.
  EXPECT_EQ(Summary(Receive([] {
              std::string over;
              for (int i = 0; i < 11; ++i)
                over += Frame(NGHTTP2_DATA, 0, 3, std::string(10'000, 'x'));
              return over;
            }())),
            "RST_STREAM 3 3");
  Answer(3);
  EXPECT_EQ(held_.used(), 0u);
}

TEST_F(Http2SessionTest, ABodyThatIsNotAsLongAsAnnouncedIsAnErrorOfItsStream) {
  recorder_.hold = recorder_.watch = true;
  const std::string head = Head(1, Get() + Literal("content-length", "1"), false);
  for (const std::string& body : {Frame(NGHTTP2_DATA, 1, 1, "xx"), Frame(NGHTTP2_DATA, 1, 1, "")}) {
    Restart();
    recorder_.gone = 0;
    EXPECT_EQ(Summary(Receive(Start() + head + body)), "RST_STREAM 1 1");
    EXPECT_EQ(recorder_.gone, 1u);
  }
  // Answered or not.
  Restart();
  recorder_.hold = false;
  EXPECT_EQ(Summary(Receive(Start() + head)), "HEADERS 1, DATA 1. GET /a");
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_DATA, 1, 1, "xx"))), "RST_STREAM 1 1");
}

}  // namespace
}  // namespace strata::http
