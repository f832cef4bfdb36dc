#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/http1_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;
using ::testing::StartsWith;

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

}  // namespace
}  // namespace strata::http
