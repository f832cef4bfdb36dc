#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/http1_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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

TEST_F(Http1SessionTest, KeepsNothingOfAnAnswerThatIsSent) {
  for (const size_t bytes : {0, 16 << 10, 100'000}) {
    Restart();
    recorder_.hold = true;
    Receive("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    auto body = std::make_shared<const std::string>(bytes, 'x');
    const std::weak_ptr<const std::string> kept = body;
    Response response;
    response.body = std::move(body);
    session_->Respond(1, std::move(response), clock_.Now());
    EXPECT_FALSE(kept.expired());
    EXPECT_THAT(Drain(), testing::EndsWith("\r\n\r\n" + std::string(bytes, 'x')));
    EXPECT_TRUE(kept.expired()) << bytes;
    EXPECT_TRUE(session_->wants_input()) << "the connection is kept";
  }
}

}  // namespace
}  // namespace strata::http
