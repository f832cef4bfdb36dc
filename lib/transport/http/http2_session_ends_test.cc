#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/http2_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;

TEST_F(Http2SessionTest, ClosesWhenIdle) {
  Receive(Start());
  EXPECT_EQ(Pass(seconds(31)), "");
  Receive(Head(1, Get()));
  EXPECT_EQ(Pass(seconds(60)), "");
  Receive(Frame(NGHTTP2_PING, 0, 0, "12345678"));
  EXPECT_EQ(Pass(seconds(29)), "");
  EXPECT_EQ(Pass(seconds(1)), "GOAWAY 1 0");
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "idle");
}

TEST_F(Http2SessionTest, DoesNotWaitForAClientThatNeverAsks) {
  EXPECT_EQ(Pass(seconds(31)), "");
  EXPECT_EQ(Pass(seconds(1)), "GOAWAY 0 0");
  EXPECT_EQ(session_->close_reason(), "header_timeout");
}

TEST_F(Http2SessionTest, DoesNotWaitForSlowHeaders) {
  Receive(Start() + Frame(NGHTTP2_HEADERS, 1, 1, Get()));
  EXPECT_EQ(Pass(seconds(31)), "");
  EXPECT_EQ(Pass(seconds(1)), "GOAWAY 1 11");
  EXPECT_EQ(session_->close_reason(), "header_timeout");
}

TEST_F(Http2SessionTest, GivesUpAnAnswerThatTheClientDoesNotLetOut) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.body = std::make_shared<const std::string>(100'000, 'x');
    return response;
  };
  Receive(std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4\0\0\0\0", 6)) +
          Head(1, Get()));
  EXPECT_EQ(Pass(seconds(59)), "");
  EXPECT_EQ(Pass(seconds(1)), "RST_STREAM 1 8");
  EXPECT_EQ(totals_.slow_readers, 1u);
}

TEST_F(Http2SessionTest, TellsSinceWhenOnlyItsClientHoldsItUp) {
  using Rest = Body::Rest;
  recorder_.answer = [](const Request& request) {
    if (request.target == "/flow") return Script::In({{"", Rest::kLater}, {"abc", Rest::kNone}});
    Response response;
    response.body = std::make_shared<const std::string>("abc");
    return response;
  };
  Receive(std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4\0\0\0\0", 6)));
  const auto window = [](uint32_t stream) {
    return Frame(NGHTTP2_WINDOW_UPDATE, 0, stream, std::string("\0\0\0\1", 4));
  };
  const auto asked = clock_.Now();
  Receive(Head(1, Get()));
  Pass(seconds(3));
  EXPECT_EQ(session_->idle_since(), std::nullopt);
  EXPECT_EQ(session_->stalled_since(), asked);
  Receive(window(1));
  EXPECT_EQ(session_->stalled_since(), clock_.Now()) << "a byte was taken";
  Pass(seconds(3));
  recorder_.hold = true;
  Receive(Head(3, Get()));
  EXPECT_EQ(session_->stalled_since(), std::nullopt) << "a handler works";
  Answer(3);
  recorder_.hold = false;
  EXPECT_EQ(session_->stalled_since(), clock_.Now());
  Receive(Head(5, Get("/flow")) + window(5));
  EXPECT_EQ(session_->stalled_since(), std::nullopt) << "there is nothing to take yet";
}

TEST_F(Http2SessionTest, GivesUpAClientThatReadsSlowerThanTheLeastRate) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.body = std::make_shared<const std::string>(1'000'000, 'x');
    return response;
  };
  const std::string none("\0\4\0\0\0\0", 6), all("\0\4\x7f\xff\xff\xff", 6);
  const std::string one("\0\0\0\1", 4), enough("\0\0\x2f\0", 4), little("\0\0\x20\0", 4);
  const struct {
    std::string_view name;
    std::string settings;
    std::vector<uint32_t> windows;  // that are opened: the connection's or streams'
    std::string update;
    int seconds;  // until the first reset
  } cases[] = {
      {"a byte at a time", none, {1}, one, 60},
      {"8 KiB every 20 s", none, {1}, little, 60},
      {"12 KiB every 20 s", none, {1}, enough, 0},
      {"two streams, both slow", none, {1, 3}, enough, 0},
      {"two streams, one stuck", none, {3}, enough, 60},
      {"two streams share a slow connection", all, {0}, enough, 0},
      {"two streams share a connection stuck after its first 64 KiB", all, {0}, one, 120},
  };
  for (const auto& c : cases) {
    Restart();
    const bool two = c.name.starts_with("two");
    Receive(std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, c.settings) + Head(1, Get()) +
            (two ? Head(3, Get()) : std::string()) +
            (c.windows[0] == 0 ? std::string()
                               : Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\x7f\0\0\0", 4))));
    int reset_after = 0;
    for (int passed = 1; passed <= 600 && reset_after == 0; ++passed) {
      if (passed % 20 == 0) {
        for (const uint32_t stream : c.windows)
          Receive(Frame(NGHTTP2_WINDOW_UPDATE, 0, stream, c.update));
      }
      if (Pass(seconds(1)).find("RST_STREAM") != std::string::npos) reset_after = passed;
    }
    EXPECT_EQ(reset_after, c.seconds) << c.name;
  }
}

TEST_F(Http2SessionTest, GivesUpTheAnswerThatIsReadSlowestAndItsBodyAtOnce) {
  std::map<std::string, std::weak_ptr<const std::string>> bodies;
  recorder_.answer = [&](const Request& request) {
    Response response;
    response.body = std::make_shared<const std::string>(1'000'000, 'x');
    bodies[request.target] = response.body;
    return response;
  };
  const std::string window("\0\0\x40\0", 4);
  session_->Receive(
      std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4\0\0\x20\0", 6)) +
          Head(1, Get("/a")) + Head(3, Get("/b")) + Head(5, Get("/c")) +
          Frame(NGHTTP2_WINDOW_UPDATE, 0, 1, window) + Frame(NGHTTP2_WINDOW_UPDATE, 0, 5, window),
      clock_.Now());
  std::string buffer(20'000, '\0');
  EXPECT_EQ(session_->Produce(buffer, clock_.Now()), buffer.size()) << "and there is more to send";
  EXPECT_FALSE(session_->Slowest(clock_.Now())) << "nobody can tell yet";
  clock_.Advance(seconds(2));
  for (int i = 0; i < 3; ++i) {
    const auto slowest = session_->Slowest(clock_.Now());
    ASSERT_TRUE(slowest);
    session_->Cut(slowest->stream, clock_.Now());
  }
  EXPECT_FALSE(session_->Slowest(clock_.Now()));
  for (const auto& [path, body] : bodies) EXPECT_TRUE(body.expired()) << path;
  const std::string rest = Summary(buffer + Drain(*session_, clock_.Now()));
  for (const char* reset : {"RST_STREAM 1 8", "RST_STREAM 3 8", "RST_STREAM 5 8"})
    EXPECT_THAT(rest, ::testing::HasSubstr(reset));
  EXPECT_FALSE(session_->finished());
}

TEST_F(Http2SessionTest, HasNoDeadlineWhileAHandlerRuns) {
  recorder_.hold = true;
  Receive(Start() + Head(1, Get()));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Pass(seconds(10)), "");
  EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ");
}

TEST_F(Http2SessionTest, DrainsInTwoStepsWithoutLosingARequest) {
  recorder_.hold = true;
  Receive(Start() + Head(1, Get()));
  session_->StartDrain(clock_.Now());
  EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "GOAWAY 2147483647 0, PING 0 draining");
  // On its way when the client heard of it.
  Receive(Head(3, Get()));
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_PING, 1, 0, "draining"))), "GOAWAY 3 0");
  Receive(Head(5, Get()));
  EXPECT_EQ(recorder_.requests.size(), 2u);
  EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ");
  EXPECT_FALSE(session_->finished());
  EXPECT_EQ(Answer(3), "HEADERS 3, DATA 3.  ");
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http2SessionTest, DrainsAfterWhatHasComeAndWaitsForItsTurn) {
  std::string in = Start(), buffer(64 << 10, '\0');
  for (uint32_t stream = 1; stream < 200; stream += 2) in += Head(stream, Get());
  session_->Receive(in, clock_.Now());
  session_->StartDrain(clock_.Now());
  EXPECT_GT(session_->Produce(buffer, clock_.Now()), 0u);
  EXPECT_THAT(Pass(seconds(1)), ::testing::HasSubstr("GOAWAY 199 0"));
  EXPECT_EQ(recorder_.requests.size(), 100u);
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http2SessionTest, DrainsWithoutTheClientsHelp) {
  Receive(Start());
  session_->StartDrain(clock_.Now());
  EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "GOAWAY 2147483647 0, PING 0 draining");
  EXPECT_EQ(Pass(seconds(1)), "GOAWAY 0 0");
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http2SessionTest, AResponseMayCloseTheConnectionAfterItsStream) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.status = 401;
    response.close_connection = true;
    return response;
  };
  EXPECT_EQ(Summary(Receive(Start() + Head(1, Get()))),
            "HEADERS 1., GOAWAY 2147483647 0, PING 0 draining");
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_PING, 1, 0, "draining"))), "GOAWAY 1 0");
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http2SessionTest, AnAbandonedRequestIsReset) {
  recorder_.hold = true;
  Receive(Start() + Head(1, Get()));
  session_->Abandon(1, clock_.Now());
  session_->Respond(1, Response{}, clock_.Now());
  session_->Respond(99, Response{}, clock_.Now());
  EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "RST_STREAM 1 2");
  EXPECT_EQ(session_->in_progress(), 0u);
}

TEST_F(Http2SessionTest, TellsWhoeverStillWorksForAStreamThatIsReset) {
  recorder_.hold = true;
  const std::string cancel("\0\0\0\x08", 4);
  std::string told;
  const auto tell = [&](StreamId id) {
    session_->OnGone(id, [&, id] {
      told += std::to_string(id) + " ";
      session_->Abandon(id, clock_.Now());
    });
  };
  Receive(Start() + Head(1, Get()) + Head(3, Get()) + Head(5, Get()) + Head(7, Get()));
  for (const StreamId id : {1, 3, 5, 7}) tell(id);
  Receive(Frame(NGHTTP2_RST_STREAM, 0, 3, cancel));
  EXPECT_EQ(told, "3 ");
  EXPECT_EQ(session_->in_progress(), 3u) << "whoever was told may let go at once";
  session_->OnGone(3, [&] { told += "at once "; });
  EXPECT_EQ(told, "3 at once ");
  Answer(1);
  Receive(Frame(NGHTTP2_RST_STREAM, 0, 1, cancel));
  EXPECT_EQ(told, "3 at once ") << "it was answered before";
  // Both streams are the client's still (RFC 9113 §6.8).
  Receive(Frame(NGHTTP2_GOAWAY, 0, 0, std::string(8, '\0')));
  EXPECT_EQ(told, "3 at once ");
  EXPECT_EQ(Answer(5), "HEADERS 5, DATA 5.  ");
  session_->TellGone();
  EXPECT_EQ(told, "3 at once 7 ");
  EXPECT_EQ(session_->in_progress(), 0u);
}

TEST_F(Http2SessionTest, EndsWithItsClient) {
  recorder_.hold = true;
  Receive(Start() + Head(1, Get()));
  session_->ReceiveEnd(clock_.Now());
  EXPECT_TRUE(session_->finished());
  session_->Respond(1, Response{}, clock_.Now());
}

}  // namespace
}  // namespace strata::http
