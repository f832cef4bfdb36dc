#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/transport/http/http2_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;

TEST_F(Http2SessionTest, RefusesAHeaderOverTheLimitAndGoesOn) {
  options_.max_header_bytes = 1000;
  Restart();
  std::string block = Get();
  for (int i = 0; i < 15; ++i) block += Literal("a", std::string(100, 'x'));
  EXPECT_EQ(Summary(Receive(Start() + Head(1, block) + Head(3, Get()))),
            "HEADERS 1, HEADERS 3, DATA 1. 431 Request Header Fields Too Large, DATA 3. GET /a");
}

TEST_F(Http2SessionTest, BoundsWhatAllRequestsHoldTogether) {
  options_.max_held_bytes = 7'100;
  Restart();
  recorder_.hold = true;
  std::string in = Start();
  for (uint32_t stream = 1; stream <= 11; stream += 2) {
    in += Head(stream, Get() + Literal("a", std::string(100, 'x')));
  }
  EXPECT_EQ(Summary(Receive(in)), "RST_STREAM 9 7, RST_STREAM 11 7");
  EXPECT_EQ(recorder_.requests.size(), 4u);
  // Handed to the handler, but still ours to answer for.
  EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ");
  EXPECT_EQ(Summary(Receive(Head(13, Get()))), "");
  EXPECT_EQ(recorder_.requests.size(), 5u);
}

TEST_F(Http2SessionTest, CountsWhatStreamsTakeUntilTheirAnswersAreRead) {
  // A window without room for any body.
  const std::string no_window("\0\4\0\0\0\0", 6);
  const std::string open("\0\4\0\1\0\0", 6);
  std::string in = std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, no_window);
  for (uint32_t stream = 1; stream < 2'000; stream += 2) in += Head(stream, Get());
  Receive(in);
  EXPECT_EQ(recorder_.requests.size(), 1'000u) << "what a proxy asks for at a time fits";
  EXPECT_GT(held_.used(), 1'000u * 2'048);
  Receive(Frame(NGHTTP2_SETTINGS, 0, 0, open));
  EXPECT_EQ(held_.used(), 0u);
  // Each of these is 33 bytes for the client, and a Header for us.
  recorder_.hold = true;
  std::string block = Get();
  for (int i = 0; i < 1'000; ++i) block += Literal("a", "");
  Receive(Head(2'001, block));
  EXPECT_EQ(recorder_.requests.size(), 1'001u);
  EXPECT_GT(held_.used(), 1'000 * sizeof(Header));
}

TEST_F(Http2SessionTest, RefusesWhatAllConnectionsTogetherHaveNoRoomFor) {
  options_.held_bytes_let_in = 0;
  Restart();
  ASSERT_TRUE(held_.Take(held_.limit() - 6'854));
  recorder_.hold = true;
  const std::string block = Get() + Literal("a", std::string(100, 'x'));
  EXPECT_EQ(Summary(Receive(Start() + Head(1, block) + Head(3, block) + Head(5, block))),
            "RST_STREAM 5 7");
  EXPECT_EQ(recorder_.requests.size(), 2u);
  // A block that hasn't come whole takes room as well.
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_HEADERS, 1, 7, block))), "RST_STREAM 7 7");
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_CONTINUATION, 4, 7, Literal("b", "c")))), "");
  EXPECT_EQ(recorder_.requests.size(), 2u);
  Answer(1);
  EXPECT_EQ(Summary(Receive(Head(9, block))), "");
  EXPECT_EQ(recorder_.requests.size(), 3u);
  session_.reset();
  EXPECT_EQ(held_.used(), held_.limit() - 6'854);
}

TEST_F(Http2SessionTest, TakesSoManyRequestsInATurn) {
  recorder_.hold = true;
  std::string in = Start();
  for (uint32_t stream = 1; stream < 200; stream += 2) in += Head(stream, Get());
  session_->Receive(in, clock_.Now());
  size_t turns = 1;
  for (size_t before = 0; session_->wants_turn(); ++turns) {
    EXPECT_GE(recorder_.requests.size(), before + 32);
    EXPECT_LT(recorder_.requests.size(), before + 48);
    EXPECT_FALSE(session_->wants_input());
    before = recorder_.requests.size();
    EXPECT_GT(held_.used(), before * (2 << 10) + 50 * (100 - before)) << "what waits is counted";
    session_->Receive({}, clock_.Now());
  }
  EXPECT_EQ(turns, 3u);
  EXPECT_EQ(recorder_.requests.size(), 100u);
  EXPECT_TRUE(session_->wants_input());
  // What there is no room for doesn't wait.
  ASSERT_TRUE(held_.Take(held_.limit() - held_.used()));
  in.clear();
  for (uint32_t stream = 201; stream < 400; stream += 2) in += Head(stream, Get());
  session_->Receive(in, clock_.Now());
  EXPECT_FALSE(session_->wants_turn());
  EXPECT_EQ(recorder_.requests.size(), 100u);
}

// HEADERS and CONTINUATION of a block that isn't over: the first `size` bytes of a field whose name
// is longer.
std::string FieldBegun(uint32_t stream, size_t size) {
  std::string block("\0\xff\xe1\xd3\3", 5);  // a literal, of 60,000 bytes of Huffman code
  block.resize(size, '\0');
  std::string frames;
  for (size_t at = 0; at < size; at += 16 << 10) {
    const std::string part = block.substr(at, 16 << 10);
    frames += at == 0 ? Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, stream, part)
                      : Frame(NGHTTP2_CONTINUATION, 0, stream, part);
  }
  return frames;
}

TEST_F(Http2SessionTest, CountsAFieldThatHasNotComeWholeAndWaitsForItAsForAnyHead) {
  options_.max_concurrent_streams = 1;
  recorder_.hold = true;
  const struct {
    std::string_view name;
    std::string before;
    uint32_t stream;
  } cases[] = {
      {"of a request", "", 1},
      {"of trailers", Head(1, Get("/a", "POST"), false), 1},
      {"of a request that is refused", Head(1, Get()), 3},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Restart();
    Receive(Start() + c.before);
    const size_t before = held_.used();
    Receive(FieldBegun(c.stream, 50'000));
    EXPECT_GE(held_.used(), before + 95'000) << "what it is decoded to";
    EXPECT_EQ(Pass(seconds(31)), "");
    EXPECT_THAT(Pass(seconds(1)), ::testing::HasSubstr("GOAWAY"));
    EXPECT_EQ(session_->close_reason(), "header_timeout");
    session_.reset();
    EXPECT_EQ(held_.used(), 0u);
  }
}

TEST_F(Http2SessionTest, CountsNothingOfABlockThatHasComeWhole) {
  recorder_.hold = true;
  const std::string field = Literal("a", std::string(100, 'x'));
  std::string block = Get();
  for (int i = 0; i < 20; ++i) block += field;
  Receive(Start() + Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block));
  const size_t begun = held_.used();
  Receive(Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, field));
  EXPECT_LT(held_.used(), begun);
  EXPECT_EQ(recorder_.requests.size(), 1u);
  // The next has a time of its own.
  clock_.Advance(seconds(31));
  Receive(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, block));
  EXPECT_EQ(Pass(seconds(31)), "");
}

TEST_F(Http2SessionTest, EndsTheConnectionWhereThereIsNoRoomForAFieldThatGoesOn) {
  const size_t others = held_.limit();
  ASSERT_TRUE(held_.Take(others));
  EXPECT_THAT(Summary(Receive(Start() + FieldBegun(1, 50'000))), ::testing::HasSubstr("GOAWAY"));
  EXPECT_EQ(session_->close_reason(), "header_flood");
  session_.reset();
  EXPECT_EQ(held_.used(), others);
}

TEST_F(Http2SessionTest, OthersTakeNoRoomFromTheFirstBytesOfAConnection) {
  const size_t others = held_.limit();
  ASSERT_TRUE(held_.Take(others));
  recorder_.hold = true;
  EXPECT_EQ(Summary(Receive(Start() + Head(1, Get()))), "");
  EXPECT_EQ(recorder_.requests.size(), 1u);
  EXPECT_GT(held_.used(), others) << "counted all the same";
  std::string block = Get();
  for (int i = 0; i < 40; ++i) block += Literal("a", std::string(100, 'x'));
  EXPECT_EQ(Summary(Receive(Head(3, block))), "RST_STREAM 3 7") << "more than those";
  EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ");
  EXPECT_EQ(held_.used(), others);
}

TEST_F(Http2SessionTest, OthersTakeNoRoomFromThePrivileged) {
  ASSERT_TRUE(held_.Take(held_.limit()));
  peer_->proxy = true;
  options_.max_held_bytes = 20'000;
  Restart();
  recorder_.hold = true;
  std::string block = Get();
  for (int i = 0; i < 40; ++i) block += Literal("a", std::string(100, 'x'));
  EXPECT_EQ(Summary(Receive(Start() + Head(1, block) + Head(3, block) + Head(5, block))),
            "RST_STREAM 5 7")
      << "what one connection may hold it has";
  EXPECT_EQ(recorder_.requests.size(), 2u);
}

TEST_F(Http2SessionTest, ARequestThatWasResetCountsUntilItsHandlerIsDone) {
  options_.max_concurrent_streams = 2;
  Restart();
  recorder_.hold = true;
  const std::string cancel("\0\0\0\x08", 4);
  EXPECT_EQ(Summary(Receive(Start() + Head(1, Get()) + Head(3, Get()) +
                            Frame(NGHTTP2_RST_STREAM, 0, 1, cancel) +
                            Frame(NGHTTP2_RST_STREAM, 0, 3, cancel) + Head(5, Get()))),
            "RST_STREAM 5 7");
  EXPECT_EQ(session_->in_progress(), 2u);
  EXPECT_EQ(Answer(1), "");
  Receive(Head(7, Get()));
  EXPECT_EQ(recorder_.requests.size(), 3u);
  EXPECT_EQ(Answer(7), "HEADERS 7, DATA 7.  ");
}

}  // namespace
}  // namespace strata::http
