#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lib/transport/http/http1_session_fixture_test.h"

namespace strata::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

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
  peer_->proxy = true;
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

}  // namespace
}  // namespace strata::http
