#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>

#include <optional>

#include "lib/transport/http/chunked_body.h"
#include "lib/transport/http/session_fixture.h"

namespace strata::http {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kDate = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";

class Http1SessionTest : public ::testing::Test {
 protected:
  Http1SessionTest() { Restart(); }

  void Restart() {
    recorder_.requests.clear();
    session_ = MakeHttp1Session(options_, totals_, peer_, recorder_, clock_, clock_.Now());
    recorder_.session = session_.get();
    recorder_.now = clock_.Now();
  }
  void Receive(std::string_view bytes) { session_->Receive(bytes, clock_.Now()); }
  std::string Drain() { return http::Drain(*session_, clock_.Now()); }
  void Pass(std::chrono::milliseconds time) {
    clock_.Advance(time);
    if (clock_.Now() >= session_->next_deadline()) session_->OnDeadline(clock_.Now());
  }

  SessionOptions options_;
  SessionTotals totals_{options_};
  ByteBudget& held_ = totals_.held;
  base::FakeClock clock_;
  Recorder recorder_;
  const std::shared_ptr<Peer> peer_ = std::make_shared<Peer>();
  std::unique_ptr<Session> session_;
};

std::string Ok(std::string_view body, std::string_view more = {}) {
  return fmt::format("HTTP/1.1 200 OK\r\nAudit-Id: 1\r\n{}Content-Length: {}\r\n{}\r\n{}", kDate,
                     body.size(), more, body);
}

std::string Refused(std::string_view status, std::string_view text) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\n{}Content-Length: "
      "{}\r\nConnection: close\r\n\r\n{}",
      status, kDate, text.size(), text);
}

std::string Bad(std::string_view detail) {
  return Refused("400 Bad Request", fmt::format("400 Bad Request: {}", detail));
}

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

std::string FlowHead(std::string_view framing = "Transfer-Encoding: chunked\r\n",
                     std::string_view version = "1.1") {
  return fmt::format("HTTP/{} 200 OK\r\nAudit-Id: 1\r\n{}{}\r\n", version, kDate, framing);
}

TEST_F(Http1SessionTest, SendsABodyThatFlowsAsTheTableSays) {
  using Rest = Body::Rest;
  const std::string get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string get10 = "GET /a HTTP/1.0\r\n";
  const std::string large(20'000, 'x');
  const struct {
    std::string_view name;
    std::string in;
    std::vector<Script::Said> script;
    std::string out;
    bool closes = false;
    int status = 200;
  } cases[] = {
      {"one piece", get, {{"hello", Rest::kNone}}, FlowHead() + "5\r\nhello\r\n0\r\n\r\n"},
      {"two pieces",
       get,
       {{"he"}, {"llo", Rest::kNone}},
       FlowHead() + "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
      {"nothing", get, {{"", Rest::kNone}}, FlowHead() + "0\r\n\r\n"},
      {"an end by itself",
       get,
       {{"hello"}, {"", Rest::kNone}},
       FlowHead() + "5\r\nhello\r\n0\r\n\r\n"},
      {"more than a piece takes",
       get,
       {{large, Rest::kNone}},
       FlowHead() + "4000\r\n" + large.substr(0, 0x4000) + "\r\ne20\r\n" + large.substr(0, 0xe20) +
           "\r\n0\r\n\r\n"},
      {"before another answer",
       get + get,
       {{"hello", Rest::kNone}},
       FlowHead() + "5\r\nhello\r\n0\r\n\r\n" + FlowHead() + "5\r\nhello\r\n0\r\n\r\n"},
      {"of a connection that ends",
       "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
       {{"hello", Rest::kNone}},
       FlowHead("Transfer-Encoding: chunked\r\nConnection: close\r\n") + "5\r\nhello\r\n0\r\n\r\n",
       true},
      {"head", "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", {{"hello", Rest::kNone}}, FlowHead("")},
      {"no content",
       get,
       {{"hello", Rest::kNone}},
       fmt::format("HTTP/1.1 204 No Content\r\nAudit-Id: 1\r\n{}\r\n", kDate),
       false,
       204},
      {"1.0",
       get10 + "\r\n",
       {{"he"}, {"llo", Rest::kNone}},
       FlowHead("Connection: close\r\n", "1.0") + "hello",
       true},
      {"1.0 keep-alive",
       get10 + "Connection: keep-alive\r\n\r\n",
       {{"hello", Rest::kNone}},
       FlowHead("Connection: close\r\n", "1.0") + "hello",
       true},
      {"1.0 head",
       "HEAD /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       {{"hello", Rest::kNone}},
       FlowHead("Connection: close\r\n", "1.0"),
       true},
      {"one that breaks",
       get + get,
       {{"he"}, {"llo", Rest::kBroken}},
       FlowHead() + "2\r\nhe\r\n3\r\nllo\r\n",
       true},
      {"one that breaks at once", get, {{"", Rest::kBroken}}, FlowHead(), true},
  };
  for (const auto& c : cases) {
    for (const size_t piece : {c.in.size(), size_t{1}}) {
      for (const size_t out_piece : {size_t{16 << 10}, size_t{1}, size_t{5}}) {
        Restart();
        size_t made = 0, ends = 0;
        recorder_.answer = [&](const Request&) {
          ++made;
          Response response = Script::In(c.script, &ends);
          response.status = c.status;
          return response;
        };
        EXPECT_EQ(Exchange(*session_, c.in, clock_.Now(), piece, out_piece), c.out)
            << c.name << ", " << piece << " bytes at a time";
        EXPECT_EQ(session_->finished(), c.closes) << c.name;
        session_.reset();
        EXPECT_EQ(ends, made) << c.name;
      }
    }
  }
}

TEST_F(Http1SessionTest, ABodyThatFlowsWaitsForWhatComesLater) {
  using Rest = Body::Rest;
  size_t ends = 0;
  recorder_.answer = [&](const Request& request) {
    return request.target == "/b"
               ? Recorder::Echo(request)
               : Script::In({{"he", Rest::kLater}, {"", Rest::kLater}, {"llo", Rest::kNone}},
                            &ends);
  };
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(Drain(), FlowHead() + "2\r\nhe\r\n");
  session_->Resume(2, clock_.Now());
  EXPECT_EQ(Drain(), "") << "it isn't the second's turn";
  Pass(seconds(1000));
  EXPECT_FALSE(session_->finished()) << "whoever waits for us isn't idle";
  EXPECT_EQ(session_->idle_since(), std::nullopt);
  EXPECT_EQ(ends, 0u);
  session_->Resume(1, clock_.Now());
  const std::string rest = Drain();
  EXPECT_THAT(rest, StartsWith("3\r\nllo\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(rest, ::testing::EndsWith("GET /b"));
  EXPECT_EQ(ends, 1u);
  Pass(options_.idle_timeout);
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http1SessionTest, ABodyThatIsGivenUpEndsTheConnection) {
  using Rest = Body::Rest;
  for (const bool begun : {false, true}) {
    Restart();
    size_t ends = 0;
    recorder_.answer = [&](const Request&) {
      return Script::In({{"he", Rest::kLater}, {"", Rest::kLater}}, &ends);
    };
    Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string sent = begun ? Drain() : "";
    session_->Abandon(1, clock_.Now());
    EXPECT_EQ(ends, 1u);
    EXPECT_EQ(sent + Drain(), begun ? FlowHead() + "2\r\nhe\r\n" : "");
    EXPECT_TRUE(session_->finished());
    EXPECT_EQ(session_->close_reason(), "abandoned");
    EXPECT_EQ(session_->in_progress(), 0u);
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

TEST_F(Http1SessionTest, ABrokenBodyIsTheLastThingThatIsReadOfAConnection) {
  const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string next = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}}) {
    Restart();
    recorder_.hold = recorder_.watch = true;
    EXPECT_THAT(Exchange(*session_, head + "zz\r\n" + next, clock_.Now(), piece),
                StartsWith("HTTP/1.1 400 "));
    EXPECT_EQ(recorder_.gone, 1u) << "its handler is told that the answer isn't needed any more";
    EXPECT_EQ(recorder_.requests.size(), 1u);
    EXPECT_TRUE(session_->finished());
    EXPECT_EQ(session_->close_reason(), "malformed");
    recorder_.gone = 0;
  }
  // Answered before: the answer stands.
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}}) {
    Restart();
    recorder_.hold = false;
    EXPECT_THAT(Exchange(*session_, head + "zz\r\n" + next, clock_.Now(), piece),
                ::testing::AllOf(StartsWith("HTTP/1.1 200 "), ::testing::EndsWith("POST /a")));
    EXPECT_TRUE(session_->finished());
    EXPECT_EQ(session_->close_reason(), "malformed");
  }
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

TEST_F(Http1SessionTest, TakesNoMoreInATurnThanItMayAnswerAtATime) {
  std::string in, all, expected, buffer(16 << 10, '\0');
  for (int i = 0; i < 40; ++i) in += "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  for (int i = 1; i < 40; ++i) expected += Ok("GET /a");
  expected += Ok("GET /a", "Connection: close\r\n");
  Receive(in);
  session_->StartDrain(clock_.Now());
  for (const size_t requests : {16u, 32u, 40u}) {
    EXPECT_EQ(recorder_.requests.size(), requests);
    EXPECT_FALSE(session_->wants_turn()) << "before what it has is answered";
    all.append(buffer, 0, session_->Produce(buffer, clock_.Now()));
    EXPECT_EQ(session_->wants_turn(), requests < 40);
    EXPECT_FALSE(session_->wants_input());
    EXPECT_EQ(held_.used() > 0, requests < 40) << "what waits is counted";
    if (session_->wants_turn()) Receive({});
  }
  EXPECT_EQ(all, expected);
}

TEST_F(Http1SessionTest, EndsWhenDrainedThoughSomethingIsLeftOfTheLastRequest) {
  for (const std::string left : {"abc", "abc\r\n"}) {
    Restart();
    std::string in, buffer(16 << 10, '\0');
    for (int i = 0; i < 15; ++i) in += "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    in += "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n" + left;
    Receive(in);
    session_->StartDrain(clock_.Now());
    EXPECT_THAT(buffer.substr(0, session_->Produce(buffer, clock_.Now())), HasSubstr("POST /a"));
    ASSERT_TRUE(session_->wants_turn());
    Receive({});
    EXPECT_TRUE(session_->finished()) << left;
  }
}

TEST_F(Http1SessionTest, RefusesAHeaderOverTheLimit) {
  options_.max_header_bytes = 1000;
  const std::string large =
      "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(2000, 'a') + "\r\n\r\n";
  std::string many = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 40; ++i) many += "a: b\r\n";
  many += "\r\n";
  for (const std::string& in :
       {large, large.substr(0, 1500), many, "GET /" + std::string(2000, 'a')}) {
    for (const size_t piece : {in.size(), size_t{1}}) {
      Restart();
      EXPECT_THAT(Exchange(*session_, in, clock_.Now(), piece), StartsWith("HTTP/1.1 431 "));
      EXPECT_TRUE(session_->finished());
      EXPECT_EQ(session_->close_reason(), "header_flood");
    }
  }
}

TEST_F(Http1SessionTest, AnswersAndClosesWhereMoreOfABodyComesThanIsWorthDropping) {
  options_.max_dropped_body_bytes = 10;
  const std::string known = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world";
  const std::string chunked =
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
  for (const size_t piece : {size_t{1000}, size_t{1}}) {
    Restart();
    EXPECT_EQ(Exchange(*session_, known, clock_.Now(), piece),
              Ok("POST /a", "Connection: close\r\n"));
    EXPECT_TRUE(session_->finished());
    // How long it is, is known when the answer may be out; one that is there already costs nothing.
    Restart();
    EXPECT_EQ(Exchange(*session_, chunked, clock_.Now(), piece), Ok("POST /a"));
    EXPECT_EQ(session_->finished(), piece == 1);
  }
}

TEST_F(Http1SessionTest, RefusesWhatAllConnectionsTogetherHaveNoRoomFor) {
  options_.held_bytes_let_in = 0;
  Restart();
  ASSERT_TRUE(held_.Take(held_.limit() - 250));
  const auto no_room =
      ::testing::AllOf(StartsWith("HTTP/1.1 429 "), HasSubstr("Retry-After: 1\r\n"));
  recorder_.hold = true;
  const std::string head = "GET /a HTTP/1.1\r\nHost: x\r\nA: " + std::string(60, 'a');
  Receive(head + "\r\n\r\n");
  EXPECT_EQ(recorder_.requests.size(), 1u);
  Receive(head + "\r\n\r\n");
  EXPECT_EQ(recorder_.requests.size(), 1u) << "another has no room";
  session_->Respond(1, Response{}, clock_.Now());
  EXPECT_THAT(Drain(), HasSubstr("\r\n\r\nHTTP/1.1 429 "));
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(held_.used(), held_.limit() - 250);

  Restart();
  Receive("GET /a HTTP/1.1\r\nHost: x\r\nA: " + std::string(300, 'a'));
  EXPECT_THAT(Drain(), no_room) << "a head that hasn't come whole takes room as well";
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(held_.used(), held_.limit() - 250);
  EXPECT_EQ(held_.refused(), 2u);
  session_.reset();
  held_.Give(held_.limit() - 250);
  EXPECT_EQ(held_.used(), 0u);
}

TEST_F(Http1SessionTest, CountsALineOfABodyThatHasNotComeWhole) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  Receive(head + "0\r\nA: " + std::string(20'000, 'a'));
  EXPECT_EQ(Drain(), Ok("POST /"));
  EXPECT_GE(held_.used(), 20'000u);
  Receive("\r\n");
  EXPECT_EQ(held_.used(), 0u) << "what it says is dropped";
  Receive("B: " + std::string(20'000, 'b'));
  EXPECT_GE(held_.used(), 20'000u);
  Receive("\r\n\r\n");
  EXPECT_EQ(held_.used(), 0u);
  EXPECT_TRUE(session_->wants_input());

  const size_t others = held_.limit();
  ASSERT_TRUE(held_.Take(others));
  Receive(head + "0\r\nA: " + std::string(20'000, 'a'));
  EXPECT_EQ(Drain(), Ok("POST /", "Connection: close\r\n"));
  EXPECT_TRUE(session_->finished()) << "there is no room for it";
  EXPECT_EQ(held_.used(), others);
}

TEST_F(Http1SessionTest, CountsTheTableOfManySmallHeaders) {
  recorder_.hold = true;
  std::string head = "GET /a HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 1'000; ++i) head += "a:\r\n";
  Receive(head + "\r\n");
  ASSERT_EQ(recorder_.requests.size(), 1u);
  EXPECT_GT(held_.used(), 1'000 * sizeof(Header));
}

TEST_F(Http1SessionTest, OthersTakeNoRoomFromTheFirstBytesOfAConnection) {
  const size_t others = held_.limit();
  ASSERT_TRUE(held_.Take(others));
  recorder_.hold = true;
  const std::string head = "GET /a HTTP/1.1\r\nHost: x\r\nA: ";
  Receive(head + std::string(3'000, 'a') + "\r\n\r\n");
  ASSERT_EQ(recorder_.requests.size(), 1u);
  EXPECT_GT(held_.used(), others + 3'000) << "counted all the same";
  Receive(head + std::string(1'000, 'a'));
  EXPECT_FALSE(session_->wants_input()) << "more than those";
  session_->Respond(1, Response{}, clock_.Now());
  EXPECT_THAT(Drain(), HasSubstr("\r\n\r\nHTTP/1.1 429 "));
  EXPECT_EQ(held_.used(), others);
}

TEST_F(Http1SessionTest, OthersTakeNoRoomFromThePrivileged) {
  ASSERT_TRUE(held_.Take(held_.limit()));
  peer_->privileged = true;
  options_.max_held_bytes = 100'000;
  Restart();
  recorder_.hold = true;
  const std::string head =
      "GET /a HTTP/1.1\r\nHost: x\r\nA: " + std::string(60'000, 'a') + "\r\n\r\n";
  Receive(head);
  EXPECT_TRUE(session_->wants_input());
  Receive(head);
  EXPECT_EQ(recorder_.requests.size(), 2u);
  EXPECT_FALSE(session_->wants_input()) << "what one connection may hold it has";
}

TEST_F(Http1SessionTest, BoundsTheFramingOfAChunkedBody) {
  std::string in = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "1;" + std::string(1000, 'e') + "\r\nx\r\n";
  for (int i = 0; i < 100; ++i) in += chunk;
  recorder_.hold = true;
  EXPECT_THAT(Exchange(*session_, in, clock_.Now(), 1000), StartsWith("HTTP/1.1 400 "));
  Restart();
  in = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
       std::string(100'000, 'e');
  EXPECT_THAT(Exchange(*session_, in, clock_.Now(), 1000), StartsWith("HTTP/1.1 400 "));
}

TEST_F(Http1SessionTest, CountsATrailerAgainstTheHeaderLimit) {
  options_.max_header_bytes = 1000;
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  std::string many, within;
  for (int i = 0; i < 30; ++i) many += "a: b\r\n";
  for (int i = 0; i < 20; ++i) within += "a: b\r\n";
  const std::string large = "A: " + std::string(2000, 'a');
  recorder_.hold = true;
  for (const std::string& trailer : {many, large, large + "\r\n\r\n"}) {
    for (const size_t piece : {head.size() + trailer.size(), size_t{1}}) {
      Restart();
      EXPECT_THAT(Exchange(*session_, head + trailer, clock_.Now(), piece),
                  StartsWith("HTTP/1.1 431 "));
      EXPECT_TRUE(session_->finished());
      EXPECT_EQ(session_->close_reason(), "header_flood");
    }
  }
  Restart();
  recorder_.hold = false;
  EXPECT_EQ(Exchange(*session_, head + within + "\r\n", clock_.Now(), 1), Ok("POST /"));
  EXPECT_FALSE(session_->finished());
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

TEST_F(Http1SessionTest, ClosesWhenIdle) {
  Pass(seconds(89));
  EXPECT_FALSE(session_->finished());
  Exchange(*session_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", clock_.Now(), 1000);
  Pass(seconds(89));
  EXPECT_FALSE(session_->finished());
  Pass(seconds(1));
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "idle");
}

TEST_F(Http1SessionTest, DoesNotWaitForSlowHeadersAndBodies) {
  Receive("GET / HTTP/1.1\r\nHo");
  for (int i = 0; i < 31; ++i) {
    Pass(seconds(1));
    Receive("s");
  }
  EXPECT_EQ(Drain(), "");
  Pass(seconds(1));
  EXPECT_THAT(Drain(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "header_timeout");

  Restart();
  // The answer doesn't wait for a body, nor the connection for ever.
  Receive("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh");
  EXPECT_THAT(Drain(), ::testing::EndsWith("Content-Length: 7\r\n\r\nPOST /a"));
  Pass(seconds(59));
  EXPECT_FALSE(session_->finished());
  Pass(seconds(1));
  EXPECT_EQ(Drain(), "");
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "body_timeout");
  Restart();
  recorder_.hold = true;
  Receive("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh");
  Pass(seconds(60));
  session_->Respond(1, Recorder::Echo(recorder_.requests[0].second), clock_.Now());
  EXPECT_THAT(Drain(), ::testing::EndsWith("Connection: close\r\n\r\nPOST /a"));
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http1SessionTest, GivesUpAnAnswerAndItsBodyAtOnce) {
  std::vector<std::weak_ptr<const std::string>> bodies;
  recorder_.answer = [&](const Request&) {
    Response response;
    response.body = std::make_shared<const std::string>(1'000'000, 'x');
    bodies.push_back(response.body);
    return response;
  };
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string buffer(20'000, '\0');
  EXPECT_EQ(session_->Produce(buffer, clock_.Now()), buffer.size());
  EXPECT_FALSE(session_->Slowest(clock_.Now())) << "nobody can tell yet";
  clock_.Advance(seconds(2));
  const auto slowest = session_->Slowest(clock_.Now());
  ASSERT_TRUE(slowest);
  EXPECT_NEAR(slowest->bytes_per_second, 10'000, 100);
  EXPECT_GT(slowest->bytes_left, 1'900'000u);
  session_->Cut(slowest->stream, clock_.Now());
  for (const auto& body : bodies) EXPECT_TRUE(body.expired());
  EXPECT_EQ(Drain(), "");
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "slow_reader");
}

// What waits behind a body that flows could wait for ever.
TEST_F(Http1SessionTest, GivesUpWhatWaitsBehindABodyThatFlows) {
  std::weak_ptr<const std::string> waiting;
  size_t ends = 0;
  recorder_.answer = [&](const Request& request) {
    if (request.target == "/a")
      return Script::In({{std::string(1000, 'x'), Body::Rest::kLater}, {"", Body::Rest::kLater}},
                        &ends);
    Response response;
    response.body = std::make_shared<const std::string>(1'000'000, 'x');
    waiting = response.body;
    return response;
  };
  const std::string_view get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  Receive(get);
  Drain();
  clock_.Advance(seconds(2));
  EXPECT_FALSE(session_->Slowest(clock_.Now())) << "nothing waits";
  Receive("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  Drain();
  const auto slowest = session_->Slowest(clock_.Now());
  ASSERT_TRUE(slowest);
  EXPECT_NEAR(slowest->bytes_per_second, 500, 1);
  EXPECT_EQ(slowest->bytes_left, 1'000'000u);
  session_->Cut(slowest->stream, clock_.Now());
  EXPECT_EQ(ends, 1u);
  EXPECT_TRUE(waiting.expired());
  EXPECT_EQ(Drain(), "");
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http1SessionTest, ARequestIsCountedUntilTheBodyThatAnswersItHasEnded) {
  using Rest = Body::Rest;
  recorder_.answer = [&](const Request&) {
    return Script::In({{"he", Rest::kLater}, {"", Rest::kLater}, {"llo", Rest::kNone}});
  };
  for (const bool given_up : {false, true}) {
    Restart();
    Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    Drain();
    EXPECT_GT(held_.used(), 0u);
    if (given_up) {
      session_->Abandon(1, clock_.Now());
    } else {
      session_->Resume(1, clock_.Now());
      Drain();
    }
    EXPECT_EQ(held_.used(), 0u);
  }
}

// Whose time is over may be given up before its answer comes from another thread.
TEST_F(Http1SessionTest, AnAnswerAfterItWasGivenUpIsNone) {
  recorder_.hold = true;
  size_t ends = 0;
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  session_->Abandon(2, clock_.Now());
  session_->Respond(2, Script::In({{"", Body::Rest::kNone}}, &ends), clock_.Now());
  EXPECT_EQ(ends, 1u) << "nobody wants it";
  EXPECT_EQ(session_->in_progress(), 1u);
  session_->Respond(1, Recorder::Echo(recorder_.requests[0].second), clock_.Now());
  EXPECT_THAT(Drain(), ::testing::EndsWith("GET /a"));
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->in_progress(), 0u);
}

TEST_F(Http1SessionTest, HasNoDeadlineWhileAHandlerRuns) {
  recorder_.hold = true;
  Receive("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(session_->next_deadline(), kNever);
  EXPECT_EQ(session_->in_progress(), 1u);
}

TEST_F(Http1SessionTest, DrainsByClosingAfterTheRequestsInProgress) {
  session_->StartDrain(clock_.Now());
  EXPECT_TRUE(session_->finished());

  Restart();
  recorder_.hold = true;
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  session_->StartDrain(clock_.Now());
  EXPECT_FALSE(session_->finished());
  for (const auto& [id, request] : recorder_.requests) {
    session_->Respond(id, Recorder::Echo(request), clock_.Now());
  }
  EXPECT_EQ(Drain(), Ok("GET /a") + Ok("GET /b", "Connection: close\r\n"));
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http1SessionTest, AnAbandonedRequestClosesTheConnectionAfterEarlierAnswers) {
  recorder_.hold = true;
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  session_->Abandon(2, clock_.Now());
  EXPECT_FALSE(session_->finished());
  session_->Respond(1, Recorder::Echo(recorder_.requests[0].second), clock_.Now());
  EXPECT_EQ(Drain(), Ok("GET /a"));
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http1SessionTest, AnswersAfterTheClientHasClosedItsSide) {
  recorder_.hold = true;
  Receive(
      "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "5\r\n\r\nhe");
  session_->ReceiveEnd(clock_.Now());
  EXPECT_FALSE(session_->finished());
  for (const StreamId id : {StreamId{1}, StreamId{2}})
    session_->Respond(id, Recorder::Echo(recorder_.requests[id - 1].second), clock_.Now());
  EXPECT_EQ(Drain(), Ok("GET /a") + Ok("POST /b"));
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http1SessionTest, StopsReadingWhileItHoldsTooMuch) {
  options_.max_held_bytes = 1000;
  Restart();
  recorder_.hold = true;
  Receive("GET /a HTTP/1.1\r\nHost: x\r\nA: " + std::string(1000, 'x') + "\r\n\r\n");
  EXPECT_EQ(recorder_.requests.size(), 1u);
  EXPECT_FALSE(session_->wants_input());
  session_->Respond(1, Response{}, clock_.Now());
  Drain();
  EXPECT_TRUE(session_->wants_input());
}

TEST_F(Http1SessionTest, TellsWhoeverStillWorksWhenTheConnectionIsGone) {
  recorder_.hold = true;
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string told;
  for (const StreamId id : {StreamId{1}, StreamId{2}})
    session_->OnGone(id, [&, id] { told += std::to_string(id) + " "; });
  session_->ReceiveEnd(clock_.Now());
  EXPECT_EQ(told, "") << "its side is closed, but it may read";
  session_->Respond(1, Response{}, clock_.Now());
  session_->TellGone();
  session_->TellGone();
  EXPECT_EQ(told, "2 ") << "each once, and not who has answered";
  session_->OnGone(2, [&] { told += "at once"; });
  EXPECT_EQ(told, "2 at once");
}

TEST_F(Http1SessionTest, IgnoresWhatIsAnsweredTwiceOrNeverWasAsked) {
  Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  session_->Respond(1, Response{}, clock_.Now());
  session_->Respond(7, Response{}, clock_.Now());
  session_->Abandon(1, clock_.Now());
  EXPECT_EQ(Drain(), Ok("GET /a"));
}

}  // namespace
}  // namespace strata::http
