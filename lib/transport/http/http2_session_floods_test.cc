#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/transport/http/http2_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;

// CVE-2026-27135: nghttp2 before Debian's 1.52.0-1+deb12u3 goes on after an error of the
// connection, and asserts at the next frame whose size is wrong.
TEST_F(Http2SessionTest, NothingIsReadBehindAnErrorOfTheConnection) {
  const std::string errors[] = {
      Frame(NGHTTP2_DATA, 1, 0, "x"),
      Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\xff"),
      Head(0, Get()),
      Head(2, Get()),
      Head(1, "\xff\xff\xff\xff\xff\xff"),
      Frame(NGHTTP2_HEADERS, 0xd, 1, "\xff" + Get()),
      Frame(NGHTTP2_PRIORITY, 0, 0, std::string(5, '\0')),
      Frame(NGHTTP2_RST_STREAM, 0, 0, std::string(4, '\0')),
      Frame(NGHTTP2_SETTINGS, 0, 1, ""),
      Frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\2\0\0\0\2", 6)),
      Frame(NGHTTP2_PUSH_PROMISE, 4, 1, std::string(4, '\0') + Get()),
      Frame(NGHTTP2_PING, 0, 1, "12345678"),
      Frame(NGHTTP2_GOAWAY, 0, 1, std::string(8, '\0')),
      Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string(4, '\0')),
      Frame(NGHTTP2_CONTINUATION, 4, 1, Get()),
      Frame(NGHTTP2_HEADERS, 1, 1, Get()) + Frame(NGHTTP2_PING, 0, 0, "12345678"),
  };
  for (const std::string& error : errors) {
    for (uint8_t type = 0; type <= NGHTTP2_PRIORITY_UPDATE; ++type) {
      for (const uint8_t flags : {0x00, 0x01, 0x08, 0x20, 0x2d}) {
        for (const size_t size : {size_t{0}, size_t{1}, size_t{3}, size_t{7}, size_t{16385}}) {
          for (const uint32_t stream : {0u, 1u, 3u}) {
            Restart();
            Receive(Start() + error + Frame(type, flags, stream, std::string(size, '\xff')));
            EXPECT_TRUE(session_->finished());
          }
        }
      }
    }
  }
}

TEST_F(Http2SessionTest, EndsTheConnectionOnAHeaderBomb) {
  // One entry of 4,000 bytes in the dynamic table, then named again and again, one byte each.
  std::string block = Get() + std::string("\x40\x01", 2) + "a" + std::string("\x7f\x81\x1e", 3) +
                      std::string(3968, 'x');
  block += std::string(10'000, '\xbe');
  EXPECT_EQ(Summary(Receive(Start() + Head(1, block))), "GOAWAY 1 11");
  EXPECT_EQ(session_->close_reason(), "header_flood");
  EXPECT_TRUE(session_->finished());
}

TEST_F(Http2SessionTest, EndsTheConnectionOnEndlessContinuations) {
  std::string in = Start() + Frame(NGHTTP2_HEADERS, 1, 1, Get());
  for (int i = 0; i < 100; ++i) in += Frame(NGHTTP2_CONTINUATION, 0, 1, Literal("a", "b"));
  Receive(in);
  EXPECT_TRUE(session_->finished());
  EXPECT_TRUE(recorder_.requests.empty());
}

TEST_F(Http2SessionTest, ABodyThatComesSoonAfterItsAnswerIsNotReset) {
  options_.max_concurrent_streams = 1;
  Restart();
  Receive(Start());
  for (uint32_t stream = 1; stream < 6'000; stream += 2) {
    EXPECT_EQ(Summary(Receive(Head(stream, Get("/a", "POST"), false))),
              fmt::format("HEADERS {0}, DATA {0}. POST /a", stream));
    EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_DATA, 1, stream, "hello"))), "");
  }
  EXPECT_FALSE(session_->finished());
}

TEST_F(Http2SessionTest, QueuesOnlySoManyResetsForAClientThatReadsNothing) {
  options_.max_concurrent_streams = 10;
  for (const bool acknowledged : {false, true}) {
    Restart();
    recorder_.hold = true;
    Receive(Start() + (acknowledged ? Frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, "") : ""));
    const std::string cancel("\0\0\0\x08", 4);
    size_t asked = 0;
    for (uint32_t stream = 1; session_->wants_input() && asked < 1'000; stream += 2, ++asked) {
      std::string in = Head(stream, Get());
      // Those that were reset count while their handlers run: the client may open more.
      if (acknowledged) in += Frame(NGHTTP2_RST_STREAM, 0, stream, cancel);
      session_->Receive(in, clock_.Now());
    }
    EXPECT_EQ(session_->close_reason(), "reset_flood");
    EXPECT_EQ(recorder_.requests.size(), 10u);
    EXPECT_LT(asked, 300u);
  }
}

TEST_F(Http2SessionTest, CutsFloodsOfFramesThatDoNothing) {
  const std::string zero(4, '\0'), one("\0\0\0\x01", 4);
  const struct {
    std::string_view name;
    std::string before;
    std::string frame;
    std::string_view reason;
  } cases[] = {
      {"empty data", Head(1, Get("/a", "POST"), false), Frame(NGHTTP2_DATA, 0, 1, ""),
       "frame_flood"},
      {"padding only", Head(1, Get("/a", "POST"), false),
       Frame(NGHTTP2_DATA, 8, 1, "\x0a" + std::string(10, '\0')), "frame_flood"},
      {"a byte at a time", Head(1, Get("/a", "POST"), false), Frame(NGHTTP2_DATA, 0, 1, "x"),
       "frame_flood"},
      {"priority", "", Frame(NGHTTP2_PRIORITY, 0, 1, std::string(5, '\0')), "frame_flood"},
      {"unknown", "", Frame(0xee, 0, 0, ""), "frame_flood"},
      {"ping", "", Frame(NGHTTP2_PING, 0, 0, "12345678"), "frame_flood"},
      {"ping ack", "", Frame(NGHTTP2_PING, 1, 0, "12345678"), "frame_flood"},
      {"settings", "", Frame(NGHTTP2_SETTINGS, 0, 0, ""), "frame_flood"},
      {"window update", "", Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, one), "frame_flood"},
      {"reset of streams that never were", Head(1, Get()), Frame(NGHTTP2_RST_STREAM, 0, 1, zero),
       "reset_flood"},
  };
  for (const auto& c : cases) {
    Restart();
    recorder_.hold = true;
    Receive(Start() + c.before);
    int frames = 0;
    while (!session_->finished() && frames < 20'000) {
      Receive(c.frame);
      ++frames;
    }
    EXPECT_LE(frames, 10'010) << c.name;
    EXPECT_GE(frames, 1'000) << c.name;
    EXPECT_EQ(session_->close_reason(), c.reason) << c.name;
  }
}

TEST_F(Http2SessionTest, CutsRapidResetsButNotProbesThatAreAborted) {
  recorder_.hold = true;
  const std::string cancel("\0\0\0\x08", 4);
  Receive(Start());
  uint32_t stream = 1;
  const auto probe = [&] {
    Receive(Head(stream, Get()) + Frame(NGHTTP2_RST_STREAM, 0, stream, cancel));
    Answer(stream);
    stream += 2;
  };
  // The aggregator's five every 30 seconds, and a busy proxy's thirty a second.
  for (int i = 0; i < 5'000; ++i) {
    Pass(milliseconds(33));
    probe();
  }
  EXPECT_FALSE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "");
  for (int i = 0; i < 1'002; ++i) probe();
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "reset_flood");
}

TEST_F(Http2SessionTest, CutsResetsThatTheClientMakesUsSend) {
  Receive(Start());
  int requests = 0;
  for (uint32_t stream = 1; !session_->finished() && requests < 3'000; stream += 2, ++requests) {
    // CVE-2025-8671: a window that overflows is an error of the stream, which we have to reset.
    Receive(Head(stream, Get(), false) +
            Frame(NGHTTP2_WINDOW_UPDATE, 0, stream, "\x7f\xff\xff\xff"));
  }
  EXPECT_LE(requests, 1'005);
  EXPECT_EQ(session_->close_reason(), "reset_flood");
}

TEST_F(Http2SessionTest, WindowUpdatesThatPayForWhatWasSentAreFree) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.body = std::make_shared<const std::string>(11'000, 'x');
    return response;
  };
  Receive(Start());
  const std::string update = std::string("\0\0\x10\0", 4);
  for (uint32_t stream = 1; stream < 40'000; stream += 2) {
    Receive(Head(stream, Get()));
    // As Go's client: each 4 KiB, for the stream and for the connection.
    for (int i = 0; i < 3; ++i) {
      Receive(Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, update) +
              Frame(NGHTTP2_WINDOW_UPDATE, 0, stream, update));
    }
  }
  EXPECT_FALSE(session_->finished());
}

// x/net/http2's client says nothing more of a stream once it is reset (cleanupWriteRequest).
TEST_F(Http2SessionTest, AClientNeedNotEndABodyThatWasReset) {
  options_.max_concurrent_streams = 2;
  Restart();
  Receive(Start());
  for (uint32_t stream = 1; stream < 100; stream += 2) {
    Receive(Head(stream, Get("/a", "POST"), false));
    EXPECT_EQ(Pass(seconds(1)), fmt::format("RST_STREAM {} 0", stream));
    EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_DATA, 0, stream, std::string(100, 'x')))), "")
        << "it was on its way";
  }
  EXPECT_EQ(session_->close_reason(), "");
}

// Of a proxy's users each may leave, send his body as he likes, and be refused: as often as he
// likes.
TEST_F(Http2SessionTest, NoUserOfAProxyEndsTheConnectionOfAll) {
  peer_->proxy = true;
  recorder_.hold = true;
  const std::string cancel("\0\0\0\x08", 4), one("\0\0\0\x01", 4);
  const std::string post = Get("/a", "POST");
  // The frames of the n-th request.
  const struct {
    std::string_view name;
    std::function<std::string(uint32_t stream)> frames;
    int times;
  } cases[] = {
      {"requests that are given up",
       [&](uint32_t stream) {
         return Head(stream, Get()) + Frame(NGHTTP2_RST_STREAM, 0, stream, cancel);
       },
       1'500},
      {"and a ping with each",
       [&](uint32_t stream) {
         return Head(stream, Get()) + Frame(NGHTTP2_RST_STREAM, 0, stream, cancel) +
                Frame(NGHTTP2_PING, 0, 0, "12345678");
       },
       11'000},
      {"bodies of another length than announced",
       [&](uint32_t stream) {
         return Head(stream, post + Literal("content-length", "1"), false) +
                Frame(NGHTTP2_DATA, 1, stream, "xx");
       },
       1'500},
      {"bodies that are given up",
       [&](uint32_t stream) {
         return Head(stream, post, false) + Frame(NGHTTP2_DATA, 0, stream, "x") +
                Frame(NGHTTP2_RST_STREAM, 0, stream, cancel);
       },
       11'000},
      {"heads in pieces, and trailers",
       [&](uint32_t stream) {
         return Frame(NGHTTP2_HEADERS, 0, stream, post) +
                Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, stream, Literal("a", "b")) +
                Head(stream, Literal("c", "d"));
       },
       11'000},
      {"windows that grow by little",
       [&](uint32_t stream) {
         return Head(stream, Get()) + Frame(NGHTTP2_WINDOW_UPDATE, 0, stream, one) +
                Frame(NGHTTP2_RST_STREAM, 0, stream, cancel);
       },
       11'000},
  };
  for (const auto& c : cases) {
    Restart();
    Receive(Start() + Head(1, Get("/waits")));
    for (uint32_t stream = 3; stream < 3 + 2 * static_cast<uint32_t>(c.times); stream += 2) {
      Receive(c.frames(stream));
      Answer(stream);
    }
    EXPECT_EQ(session_->close_reason(), "") << c.name;
    EXPECT_EQ(recorder_.requests.size(), 1u + static_cast<size_t>(c.times)) << c.name;
    EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ") << c.name;
  }
}

TEST_F(Http2SessionTest, OfAProxyThatReadsNothingNoMoreIsTakenIn) {
  peer_->proxy = true;
  Restart();
  Receive(Start() + Frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, ""));
  const std::string cancel("\0\0\0\x08", 4);
  uint32_t stream = 1;
  while (session_->wants_input() && stream < 10'000) {
    session_->Receive(Head(stream, Get()) + Frame(NGHTTP2_RST_STREAM, 0, stream, cancel),
                      clock_.Now());
    stream += 2;
  }
  EXPECT_LT(stream, 1'000u);
  EXPECT_FALSE(session_->wants_turn());
  // What has come already waits with it.
  std::string more;
  for (int i = 0; i < 100; ++i, stream += 2) more += Head(stream, Get());
  const size_t before = recorder_.requests.size();
  session_->Receive(more, clock_.Now());
  EXPECT_EQ(recorder_.requests.size(), before);
  Drain(*session_, clock_.Now());
  EXPECT_EQ(recorder_.requests.size(), before + 100);
  EXPECT_TRUE(session_->wants_input());
  EXPECT_EQ(session_->close_reason(), "");
}

}  // namespace
}  // namespace strata::http
