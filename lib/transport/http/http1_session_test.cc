#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/transport/http/chunked_body.h"
#include "lib/transport/http/http1_session_fixture_test.h"

namespace strata::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Case {
  std::string_view name;
  std::string in;
  std::string out;
  bool closes = false;
  std::optional<std::string_view> content;  // of a chunked body that is one
};

std::vector<Case> Cases() {
  return {
      {"get", "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", Ok("GET /a?b=c")},
      {"empty lines before a request are ignored", "\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("GET /a")},
      {"two in one piece", "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("GET /a") + Ok("GET /b")},
      {"body", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", Ok("POST /a")},
      {"body, then another",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: "
       "x\r\n\r\n",
       Ok("POST /a") + Ok("GET /b")},
      {"empty body", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", Ok("POST /a")},
      {"chunks with extension and trailer",
       "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
       "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("POST /a") + Ok("GET /b")},
      {"head", "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
       fmt::format("HTTP/1.1 200 OK\r\nAudit-Id: 1\r\n{}Content-Length: 7\r\n\r\n", kDate)},
      {"body of a get",
       "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET GET /b "
       "HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("GET /a") + Ok("GET /b")},
      {"body, then the end",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
       Ok("POST /a", "Connection: close\r\n"), true},
      {"nobody asks for a body",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
       Ok("POST /a", "Connection: close\r\n"), true},
      {"which is sent unasked",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi"
       "GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("POST /a", "Connection: close\r\n"), true},
      {"expectation of no body", "GET /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
       Ok("GET /a")},
      {"close",
       "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("GET /a", "Connection: close\r\n"), true},
      {"1.0", "GET /a HTTP/1.0\r\n\r\n",
       fmt::format("HTTP/1.0 200 OK\r\nAudit-Id: 1\r\n{}Content-Length: 6\r\nConnection: "
                   "close\r\n\r\nGET /a",
                   kDate),
       true},
      {"1.0 keep-alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       fmt::format("HTTP/1.0 200 OK\r\nAudit-Id: 1\r\n{}Content-Length: 6\r\nConnection: "
                   "keep-alive\r\n\r\nGET /a",
                   kDate)},
      {"absolute form", "GET http://evil/a?b HTTP/1.1\r\nHost: x\r\n\r\n", Ok("GET /a?b")},
      {"absolute form without path", "GET HTTPS://evil?b HTTP/1.1\r\nHost: x\r\n\r\n",
       Ok("GET /?b")},
      {"asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Ok("OPTIONS *")},
      {"unknown method", "FOO /a HTTP/1.1\r\nHost: x\r\n\r\n", Ok("FOO /a")},
      {"upgrade is ignored, and the connection not trusted any more",
       "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       Ok("GET /a", "Connection: close\r\n"), true},
      {"h2c is ignored",
       "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
       "h2c\r\nHTTP2-Settings: "
       "AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
       Ok("GET /a", "Connection: close\r\n"), true},

      {"no host", "GET /a HTTP/1.1\r\n\r\n", Bad("missing required Host header"), true},
      {"two hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", Bad("too many Host headers"),
       true},
      {"host with a slash", "GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n", Bad("malformed Host header"),
       true},
      {"length and chunked",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       Bad("bad Transfer-Encoding"), true},
      {"chunked and length",
       "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
       "5\r\n\r\n0\r\n\r\n",
       Bad("bad Content-Length"), true},
      {"two equal lengths",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
       Bad("more than one Content-Length"), true},
      {"a list of lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\nhi",
       Bad("more than one Content-Length"), true},
      {"two lengths",
       "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
       Bad("multiple Content-Length"), true},
      {"negative length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\nhi",
       Bad("bad Content-Length"), true},
      {"signed length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\nhi",
       Bad("bad Content-Length"), true},
      {"not just chunked",
       "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
       Bad("unsupported transfer encoding"), true},
      {"not chunked", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
       Bad("unsupported transfer encoding"), true},
      {"chunked with something in front",
       "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
       Bad("unsupported transfer encoding"), true},
      {"chunked twice",
       "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       Bad("bad Transfer-Encoding"), true},
      {"chunked in 1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       Bad("unexpected transfer encoding"), true},
      {"space before the colon", "GET /a HTTP/1.1\r\nHost: x\r\nX-Remote-User : admin\r\n\r\n",
       Bad("a malformed header name"), true},
      {"no name", "GET /a HTTP/1.1\r\nHost: x\r\n: admin\r\n\r\n", Bad("a malformed header name"),
       true},
      {"no colon", "GET /a HTTP/1.1\r\nHost: x\r\nadmin\r\n\r\n", Bad("a malformed header name"),
       true},
      {"folded header", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", Bad("a folded header"),
       true},
      {"folded first header", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", Bad("a folded header"), true},
      {"bare carriage return", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
       Bad("a control character in the header"), true},
      {"null", std::string("GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 36),
       Bad("a control character in the header"), true},
      {"bare line feed", "GET /a HTTP/1.1\nHost: x\n\n",
       Bad("a line feed without a carriage return"), true},
      {"control character", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n", Bad("bad value"),
       true},
      {"bad name", "GET /a HTTP/1.1\r\nHost: x\r\nA(: b\r\n\r\n", Bad("bad field"), true},
      {"connect", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
       Refused("405 Method Not Allowed", "405 Method Not Allowed"), true},
      {"no path", "GET a HTTP/1.1\r\nHost: x\r\n\r\n", Bad("malformed request target"), true},
      {"asterisk of another method", "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
       Bad("malformed request target"), true},
      {"unknown version", "GET /a HTTP/3.0\r\nHost: x\r\n\r\n",
       Refused("505 HTTP Version Not Supported",
               "505 HTTP Version Not Supported: unsupported protocol version"),
       true},
      {"unknown expectation", "GET /a HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n",
       Refused("417 Expectation Failed", "417 Expectation Failed"), true},
      {"good, then bad", "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
       Ok("GET /a") + Bad("missing required Host header"), true},
  };
}

constexpr std::string_view kChunkedHead =
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

Case Chunks(std::string_view name, std::string body, std::string out, bool closes,
            std::optional<std::string_view> content = {}) {
  return {name, std::string(kChunkedHead) + std::move(body), std::move(out), closes, content};
}

// A chunked body that is one, with another request after it.
Case Good(std::string_view name, std::string body, std::string_view content) {
  return Chunks(name, std::move(body) + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("POST /a") + Ok("GET /b"), false, content);
}

Case Wrong(std::string_view name, std::string body, std::string_view detail) {
  return Chunks(name, std::move(body), Bad(detail), true);
}

std::vector<Case> ChunkedCases() {
  using namespace std::string_literals;
  return {
      Good("nothing", "0\r\n\r\n", ""),
      Good("one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"),
      Good("two chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"),
      Good("digits of both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
           "01234567890123456789"),
      Good("leading zeros", "00000000000000000005\r\nhello\r\n0000\r\n\r\n", "hello"),
      Good("content that looks like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"),
      Good("a trailer", "0\r\nX-T: 1\r\n\r\n", ""),
      Good("trailers", "1\r\nx\r\n0\r\nX-T: 1\r\nx-u:\r\nX-V: \t a b \r\n\r\n", "x"),
      Good("extensions", "1;a\r\nx\r\n1;a=b;c=\"d;\\\"\"\r\nx\r\n0\r\n\r\n", "xx"),
      Good("extensions with white space", "1 ; a = b\t;c\r\nx\r\n0 ;d=\"\"\r\n\r\n", "x"),

      Wrong("not a size", "zz\r\n", "bad chunk"),
      Wrong("no size", "\r\n", "bad chunk"),
      Wrong("no size but an extension", ";a=b\r\nx\r\n", "bad chunk"),
      Wrong("negative size", "-1\r\nx\r\n", "bad chunk"),
      Wrong("signed size", "+1\r\nx\r\n", "bad chunk"),
      Wrong("size with a prefix", "0x1\r\nx\r\n", "bad chunk extension"),
      Wrong("white space before the size", " 1\r\nx\r\n", "bad chunk"),
      Wrong("white space after the size", "1 \r\nx\r\n", "bad chunk extension"),
      Wrong("two sizes", "1 1\r\nx\r\n", "bad chunk extension"),
      Wrong("size of 65 bits", "10000000000000001\r\nx\r\n", "bad chunk"),
      Wrong("null in the size", "1\0\r\nx\r\n"s, "bad chunk extension"),
      Wrong("size ended by a bare line feed", "1\nx\r\n", "a line feed without a carriage return"),
      Wrong("last size ended by a bare line feed", "0\n\n",
            "a line feed without a carriage return"),
      Wrong("bare carriage return after the size", "1\rx\r\n", "bad chunk extension"),
      Wrong("extension without a name", "1;\r\nx\r\n", "bad chunk extension"),
      Wrong("extension without a value", "1;a=\r\nx\r\n", "bad chunk extension"),
      Wrong("extension whose quotes don't end", "1;a=\"b\r\nx\r\n", "bad chunk extension"),
      Wrong("extension whose quotes go over a line", "1;a=\"\r\n\"\r\nx\r\n",
            "bad chunk extension"),
      Wrong("control character in an extension", "1;a=\"\x01\"\r\nx\r\n", "bad chunk extension"),
      Wrong("content longer than its size", "1\r\nxy\r\n0\r\n\r\n", "bad chunk"),
      Wrong("content ended by a bare line feed", "1\r\nx\n0\r\n\r\n",
            "a line feed without a carriage return"),
      Wrong("content ended by carriage returns", "1\r\nx\r\r\n0\r\n\r\n", "bad chunk"),
      Wrong("trailer ended by a bare line feed", "0\r\nX-T: 1\n\r\n",
            "a line feed without a carriage return"),
      Wrong("bare carriage return in a trailer", "0\r\nX-T: 1\r2\r\n\r\n",
            "a control character in the header"),
      Wrong("null in a trailer", "0\r\nX-T: \0\r\n\r\n"s, "a control character in the header"),
      Wrong("folded trailer", "0\r\nX-T: 1\r\n 2\r\n\r\n", "a folded header"),
      Wrong("folded first trailer", "0\r\n X-T: 1\r\n\r\n", "a folded header"),
      Wrong("trailer without a colon", "0\r\nX-T\r\n\r\n", "a malformed header name"),
      Wrong("trailer without a name", "0\r\n: 1\r\n\r\n", "a malformed header name"),
      Wrong("white space before a trailer's colon", "0\r\nX-T : 1\r\n\r\n",
            "a malformed header name"),
      Wrong("a request in the place of a trailer", "0\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
            "a malformed header name"),
      Wrong("length in a trailer", "0\r\ncontent-Length: 1\r\n\r\n", "a forbidden trailer field"),
      Wrong("coding in a trailer", "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "a forbidden trailer field"),
      Wrong("host in a trailer", "0\r\nHost: y\r\n\r\n", "a forbidden trailer field"),
  };
}

TEST_F(Http1SessionTest, AnswersAsTheTableSays) {
  std::vector<Case> cases = Cases();
  std::ranges::move(ChunkedCases(), std::back_inserter(cases));
  for (const Case& c : cases) {
    // While the handler works a broken body is told; nothing else is answered in these.
    recorder_.hold = c.in.starts_with(kChunkedHead) && c.closes;
    for (const size_t piece : {c.in.size(), size_t{1}, size_t{3}, size_t{7}}) {
      for (const size_t out_piece : {size_t{16 << 10}, size_t{1}}) {
        Restart();
        EXPECT_EQ(Exchange(*session_, c.in, clock_.Now(), piece, out_piece), c.out)
            << c.name << ", " << piece << " bytes at a time";
        EXPECT_EQ(session_->finished(), c.closes) << c.name;
      }
    }
    for (size_t cut = 1; cut < c.in.size(); ++cut) {
      Restart();
      std::string out = Exchange(*session_, c.in.substr(0, cut), clock_.Now(), cut);
      out += Exchange(*session_, c.in.substr(cut), clock_.Now(), c.in.size());
      EXPECT_EQ(out, c.out) << c.name << ", cut after " << cut << " bytes";
    }
  }
}

TEST(ChunkedBody, TakesTheCodingOff) {
  for (const Case& c : ChunkedCases()) {
    if (!c.content) continue;
    const std::string_view coded = std::string_view(c.in).substr(kChunkedHead.size());
    for (const size_t piece : {coded.size(), size_t{1}, size_t{3}}) {
      ChunkedBody body(1000);
      std::string content;
      size_t at = 0;
      while (!body.done() && body.refusal() == 0 && at < coded.size()) {
        const std::string_view next = coded.substr(at, piece);
        std::string_view part;
        at += body.Next(next, part);
        content += part;
      }
      EXPECT_EQ(content, *c.content) << c.name << ", " << piece << " bytes at a time";
      EXPECT_TRUE(coded.substr(at).starts_with("GET /b")) << c.name;
    }
  }
}

TEST_F(Http1SessionTest, GivesTheRequestWithoutItsFraming) {
  Receive(
      "POST /a HTTP/1.1\r\nHOST: x:443\r\nX-Remote-Group: a\r\nX-Remote-Group: b \r\nTE: "
      "trailers\r\n"
      "Connection: keep-alive\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
  ASSERT_EQ(recorder_.requests.size(), 1u);
  const Request& request = recorder_.requests[0].second;
  EXPECT_EQ(request.authority, "x:443");
  EXPECT_EQ(request.version, Version::kHttp11);
  EXPECT_EQ(request.headers.size(), 2u);
  EXPECT_THAT(request.headers.All("x-remote-group"), ::testing::ElementsAre("a", "b"));
  EXPECT_NE(request.peer, nullptr);
}

TEST_F(Http1SessionTest, AnswersAtTheHeadAndDropsTheBodyAsItComes) {
  recorder_.hold = true;
  Receive("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
  ASSERT_EQ(recorder_.requests.size(), 1u);
  const size_t held = held_.used();
  for (int i = 0; i < 19; ++i) Receive(std::string(10'000, 'x'));
  EXPECT_EQ(held_.used(), held) << "nothing of it is kept";
  session_->Respond(1, Recorder::Echo(recorder_.requests[0].second), clock_.Now());
  EXPECT_EQ(Drain(), Ok("POST /a"));
  EXPECT_EQ(held_.used(), 0u);
  recorder_.hold = false;
  Receive(std::string(10'000, 'x') + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(Drain(), Ok("GET /b"));
}

TEST_F(Http1SessionTest, AnswersInTheOrderAskedAndBoundsHowManyItTakes) {
  options_.max_pipelined = 3;
  Restart();
  recorder_.hold = true;
  std::string all;
  for (int i = 1; i <= 5; ++i) all += fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
  Receive(all);
  EXPECT_EQ(recorder_.requests.size(), 3u);
  EXPECT_FALSE(session_->wants_input());
  const auto respond = [&](StreamId id) {
    session_->Respond(id, Recorder::Echo(recorder_.requests[id - 1].second), clock_.Now());
  };
  respond(3);
  respond(2);
  EXPECT_EQ(Drain(), "");
  respond(1);
  EXPECT_EQ(Drain(), Ok("GET /1") + Ok("GET /2") + Ok("GET /3"));
  ASSERT_EQ(recorder_.requests.size(), 5u);
  EXPECT_TRUE(session_->wants_input());
  respond(4);
  respond(5);
  EXPECT_EQ(Drain(), Ok("GET /4") + Ok("GET /5"));
  EXPECT_EQ(session_->in_progress(), 0u);
}

TEST_F(Http1SessionTest, WritesNoContentWhereNoneMayBe) {
  for (const int status : {204, 304}) {
    Restart();
    recorder_.answer = [&](const Request&) {
      Response response;
      response.status = status;
      response.body = std::make_shared<const std::string>("x");
      return response;
    };
    const std::string out =
        Exchange(*session_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", clock_.Now(), 1000);
    EXPECT_THAT(out, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(out, ::testing::EndsWith("GMT\r\n\r\n"));
  }
}

TEST_F(Http1SessionTest, LetsNoHeaderBreakALine) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.headers.Add("warning", "a\r\nSet-Cookie: b");
    return response;
  };
  EXPECT_THAT(Exchange(*session_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", clock_.Now(), 1000),
              HasSubstr("Warning: a  Set-Cookie: b\r\n"));
}

TEST_F(Http1SessionTest, RenewsTheDateEachSecond) {
  EXPECT_THAT(Exchange(*session_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", clock_.Now(), 1000),
              HasSubstr("22:13:20"));
  clock_.Advance(std::chrono::milliseconds(999));
  EXPECT_THAT(Exchange(*session_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", clock_.Now(), 1000),
              HasSubstr("22:13:20"));
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_THAT(Exchange(*session_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", clock_.Now(), 1000),
              HasSubstr("22:13:21"));
}

}  // namespace
}  // namespace strata::http
