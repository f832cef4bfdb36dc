#include "server/serving/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/serving/connection_fixture_test.h"

namespace strata::serving {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(HttpConnectionTest, AnswersAtOnceFromAWorkerAndFromATask) {
  TlsClient client(port_);
  client.Write(Get("/now") + Get("/later") + Get("/posted"));
  EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"),
              StartsWith("HTTP/1.1 200 OK\r\nAudit-Id: 7\r\nDate: "));
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.Read(5), "later");
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.Read(6), "posted");
}

TEST_F(HttpConnectionTest, SpeaksHttp2WhereItWasAgreed) {
  TlsClient client(port_, {.alpn = "\x02h2"});
  client.Write(Get2("/now"));
  EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"), HasSubstr("\x04\0\0\0\0\0"));
  for (uint8_t stream = 3; stream < 99; stream = static_cast<uint8_t>(stream + 4)) {
    client.Write(Get2("/later", stream) + Get2("/posted", static_cast<uint8_t>(stream + 2)));
    // In either order.
    std::string both;
    const auto has = [&](const char* text) { return both.find(text) != std::string::npos; };
    while (!has("later") || !has("posted")) {
      const std::string next = client.Read(1);
      ASSERT_FALSE(next.empty()) << both;
      both += next;
    }
  }
}

TEST_F(HttpConnectionTest, DroppingAnExchangeEndsTheRequest) {
  TlsClient client(port_);
  client.Write(Get("/dropped"));
  EXPECT_TRUE(client.ReadEnd());

  TlsClient client2(port_, {.alpn = "\x02h2"});
  client2.Write(Get2("/dropped"));
  // RST_STREAM, INTERNAL_ERROR.
  const std::string reset("\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02", 13);
  EXPECT_THAT(client2.ReadUntil(reset), EndsWith(reset));
  client2.Write(Get2("/now", 3));
  EXPECT_THAT(client2.ReadUntil("now 127.0.0.1:"), EndsWith("now 127.0.0.1:"));
}

TEST_F(HttpConnectionTest, ABodyFlowsAsItIsMade) {
  const std::string whole = Countdown::Whole();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port_, {.version = version});
    client.Write(Get("/flow") + Get("/now"));
    EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
    std::string body;
    while (const size_t size = std::stoul(client.ReadUntil("\r\n"), nullptr, 16))
      body += client.Read(size + 2).substr(0, size);
    EXPECT_EQ(body, whole);
    EXPECT_EQ(client.Read(2), "\r\n");
    EXPECT_THAT(client.ReadUntil("now 127.0.0.1:"), StartsWith("HTTP/1.1 200 OK\r\n"));

    TlsClient client2(port_, {.alpn = "\x02h2", .version = version});
    client2.Write(Get2("/flow") + Window(0) + Window(1));
    EXPECT_EQ(ReadData(client2), whole);
  }
  WaitForGone(4);
}

TEST_F(HttpConnectionTest, ABodyThatBreaksIsNotTakenForTheWhole) {
  TlsClient client(port_);
  client.Write(Get("/broken") + Get("/now"));
  const std::string all = client.Read(4'000'000);
  EXPECT_GT(all.size(), Countdown::kPiece * Countdown::kPieces / 2);
  EXPECT_THAT(all, ::testing::Not(EndsWith("\r\n0\r\n\r\n")));
  TlsClient client2(port_, {.alpn = "\x02h2"});
  client2.Write(Get2("/broken") + Window(0) + Window(1));
  EXPECT_THAT(ReadData(client2), ::testing::SizeIs(::testing::Gt(Countdown::kPiece)));
  WaitForGone(2);
}

// The window of a stream that nobody opens holds that stream up, and its client's leaving ends it.
TEST_F(HttpConnectionTest, AReaderThatTakesNothingHoldsUpItsOwnBodyAlone) {
  {
    TlsClient client(port_, {.alpn = "\x02h2"});
    client.Write(Get2("/flow") + Window(0) + Get2("/now", 3) + Get2("/flow", 5) + Window(5));
    std::string seen;
    for (ptrdiff_t last = 0; last < 100'000;) {
      const std::string next = client.Read(1000);
      ASSERT_FALSE(next.empty());
      last += std::count(next.begin(), next.end(), 'z');
      seen += next;
    }
    EXPECT_THAT(seen, HasSubstr("now 127.0.0.1:"));
    // RST_STREAM, CANCEL.
    client.Write(std::string("\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08", 13));
    WaitForGoneAtLeast(1);
  }
  WaitForGone(2);
}

TEST_F(HttpConnectionTest, AnExchangeOutlivesItsClientAndTheServer) {
  {
    TlsClient client(port_);
    client.Write(Get("/keep"));
    WaitForKept(1);
  }
  TakeKept()[0]->Respond(Text("nobody is there"));

  TlsClient client(port_, {.alpn = "\x02h2"});
  client.Write(Get2("/keep") + Get2("/keep", 3) + Get2("/keep", 5));
  WaitForKept(3);
  server_->Stop();
  auto kept = TakeKept();
  kept[0]->Respond(Text("nobody is there"));
  kept[1]->Post([] { ADD_FAILURE(); });
}

TEST_F(HttpConnectionTest, TellsWhoeverWorksForAStreamThatIsReset) {
  TlsClient client(port_, {.alpn = "\x02h2"});
  client.Write(Get2("/watched") + Get2("/watched", 3));
  WaitForKept(2);
  // RST_STREAM, CANCEL.
  client.Write(std::string("\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08", 13));
  WaitForGone(1);
}

// What is read before is gone from the socket: it ends in order, not by a reset.
TEST_F(HttpConnectionTest, TellsWhoeverWorksForAClientThatHasClosed) {
  int gone = 0;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const std::string alpn : {"\x08http/1.1", "\x02h2"}) {
      for (const bool says_so : {true, false}) {
        {
          TlsClient client(port_, {.alpn = alpn, .version = version});
          const bool http2 = alpn == "\x02h2";
          client.Write(http2 ? Get2("/now") : Get("/now"));
          client.ReadUntil("now 127.0.0.1:");
          // Of these HTTP/1.1 takes the first sixteen, and reads no further.
          for (int i = 0; i < 20; ++i)
            client.Write(http2 ? Get2("/watched", static_cast<uint8_t>(3 + 2 * i))
                               : Get("/watched"));
          gone += http2 ? 20 : 16;
          WaitForKept(static_cast<size_t>(gone));
          if (says_so) SSL_shutdown(client.ssl());
        }
        WaitForGone(gone);
      }
    }
  }
}

TEST_F(HttpConnectionTest, AClientThatHasClosedItsSideIsStillThere) {
  TlsClient client(port_, {.version = TLS1_3_VERSION});
  client.Write(Get("/now"));
  client.ReadUntil("now 127.0.0.1:");
  client.Write(Get("/watched"));
  WaitForKept(1);
  SSL_shutdown(client.ssl());
  shutdown(client.fd(), SHUT_WR);
  // Until the server has looked whether it is: its record comes before the answer.
  char record;
  ASSERT_EQ(recv(client.fd(), &record, 1, MSG_PEEK), 1);
  TakeKept()[0]->Respond(Text("still"));
  EXPECT_THAT(client.ReadUntil("still"), EndsWith("still"));
  WaitForGone(0);
}

TEST_F(HttpConnectionTest, TellsWhenTheServerStops) {
  TlsClient client(port_), client2(port_, {.alpn = "\x02h2"});
  client.Write(Get("/watched"));
  client2.Write(Get2("/watched"));
  WaitForKept(2);
  server_->Stop();
  WaitForGone(2);
  // Nobody is told of an exchange twice, and who asks late is told at once.
  TakeKept()[0]->OnGone([this] { CountGone(); });
  WaitForGone(3);
}

TEST_F(HttpConnectionTest, AnswersAtMostOnce) {
  TlsClient client(port_);
  client.Write(Get("/keep"));
  WaitForKept(1);
  const auto kept = TakeKept();
  kept[0]->Respond(Text("first"));
  kept[0]->Respond(Text("second"));
  client.Write(Get("/now"));
  EXPECT_THAT(client.ReadUntil("now"), ::testing::Not(HasSubstr("second")));
}

TEST_F(HttpConnectionTest, DrainsAfterTheAnswersInProgress) {
  TlsClient client(port_, {.alpn = "\x02h2"}), old(port_);
  client.Write(Get2("/keep"));
  old.Write(Get("/keep"));
  WaitForKept(2);
  EXPECT_EQ(server_->Drain(std::chrono::milliseconds(10)), 2u);
  for (const auto& exchange : TakeKept()) exchange->Respond(Text("done"));
  EXPECT_THAT(client.ReadUntil("done"), EndsWith("done"));
  EXPECT_THAT(old.ReadUntil("done"), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(old.ReadEnd());
}

}  // namespace
}  // namespace strata::serving
