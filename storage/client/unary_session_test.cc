#include "storage/client/unary_session.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string>
#include <vector>

#include "test/support/http2_bytes.h"

namespace strata::client {
namespace {

using std::string_literals::operator""s;

using namespace testing_support;  // NOLINT(google-build-using-namespace): a frame's constants

std::string Message(const std::string& bytes) {
  return "\0\0\0\0"s + static_cast<char>(bytes.size()) + bytes;
}

const std::string kHello = Frame(kSettings, 0, 0, "");
const std::string kOk = Literal(":status", "200") + Literal("content-type", "application/grpc");

std::string Head(uint32_t stream, const std::string& fields = kOk) {
  return Frame(kHeaders, kEndHeaders, stream, fields);
}
std::string Trailers(uint32_t stream, const std::string& fields) {
  return Frame(kHeaders, kEndHeaders | kEndStream, stream, fields);
}

// What a call comes to that is answered so, in parts of so many bytes; then the connection ends.
std::string Answer(const std::string& bytes, size_t part) {
  UnarySession session("http", "etcd:2379");
  session.Start({.path = "/etcdserverpb.KV/Range", .message = "question"},
                std::chrono::milliseconds(5000));
  session.Produce();
  for (size_t at = 0; at < bytes.size() && !session.done(); at += part)
    session.Receive(std::string_view(bytes).substr(at, part));
  if (!session.done()) session.ReceiveEnd();
  const auto answer = session.TakeAnswer();
  return answer.ok() ? "OK " + *answer : answer.status().ToString();
}

TEST(UnarySession, UnderstandsWhatServersAnswer) {
  const std::string done = Trailers(1, Literal("grpc-status", "0"));
  const struct {
    const char* name;
    std::string bytes;
    std::string answer;
  } kCases[] = {
      {"a message", kHello + Head(1) + Frame(kData, 0, 1, Message("hello")) + done, "OK hello"},
      {"an empty message", kHello + Head(1) + Frame(kData, 0, 1, Message("")) + done, "OK "},
      {"in several frames, with others between",
       kHello + Head(1) + Frame(kData, 0, 1, Message("hello").substr(0, 3)) +
           Frame(kPing, 0, 0, "12345678") + Frame(kData, 0, 1, Message("hello").substr(3)) + done,
       "OK hello"},
      {"an error",
       kHello + Trailers(1, kOk + Literal("grpc-status", "11") +
                                Literal("grpc-message", "too%20new%2g%")),
       "OUT_OF_RANGE: too new%2g%"},
      {"an error without words", kHello + Trailers(1, kOk + Literal("grpc-status", "5")),
       "NOT_FOUND: "},
      {"a code that there isn't", kHello + Trailers(1, kOk + Literal("grpc-status", "99")),
       "UNKNOWN: "},
      {"no number", kHello + Trailers(1, kOk + Literal("grpc-status", "zero")), "UNKNOWN: "},
      {"a proxy's error", kHello + Trailers(1, Literal(":status", "502")),
       "UNAVAILABLE: it answers HTTP status 502: that is no etcd"},
      {"no status", kHello + Head(1) + Frame(kData, kEndStream, 1, Message("hello")),
       "UNAVAILABLE: the answer has no grpc-status: that is no etcd"},
      {"no message", kHello + Head(1) + done, "INTERNAL: the answer isn't one whole message"},
      {"half a message", kHello + Head(1) + Frame(kData, 0, 1, "\0\0\0\0\5hell"s) + done,
       "INTERNAL: the answer isn't one whole message"},
      {"two messages",
       kHello + Head(1) + Frame(kData, 0, 1, Message("one") + Message("two")) + done,
       "INTERNAL: the answer isn't one whole message"},
      {"a compressed message", kHello + Head(1) + Frame(kData, 0, 1, "\1\0\0\0\1x"s) + done,
       "INTERNAL: the answer is compressed, which wasn't asked for"},
      {"a reset", kHello + Head(1) + Frame(kReset, 0, 1, "\0\0\0\2"s),
       "UNAVAILABLE: the call was reset: INTERNAL_ERROR"},
      {"farewell before the call", kHello + Frame(kGoAway, 0, 0, "\0\0\0\0\0\0\0\0"s),
       "UNAVAILABLE: the connection: the server is going away"},
      {"farewell after it",
       kHello + Frame(kGoAway, 0, 0, "\0\0\0\1\0\0\0\0"s) + Head(1) +
           Frame(kData, 0, 1, Message("hello")) + done,
       "OK hello"},
      {"an end", kHello + Head(1), "UNAVAILABLE: the connection: it was closed"},
      {"another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n",
       "UNAVAILABLE: the connection: that is no HTTP/2: is it https://?"},
      {"another call's answer", kHello + Head(3),
       "UNAVAILABLE: the connection: that is no HTTP/2: is it https://?"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Answer(c.bytes, c.bytes.size()), c.answer) << c.name;
    EXPECT_EQ(Answer(c.bytes, 1), c.answer) << c.name << ", byte by byte";
  }
}

TEST(UnarySession, AsksAsGrpcDoes) {
  UnarySession session("http", "etcd:2379");
  session.Start({.path = "/etcdserverpb.KV/Range", .message = "question", .token = "secret"},
                std::chrono::milliseconds(5000));
  std::string bytes = session.Produce();
  ASSERT_TRUE(bytes.starts_with(kPreface));
  EXPECT_EQ(bytes.substr(bytes.size() - 22), Frame(kData, kEndStream, 1, Message("question")));

  // What a server makes of the headers.
  bytes = bytes.substr(kPreface.size() + 9 + 6, bytes.size() - kPreface.size() - 15 - 22);
  ASSERT_EQ(bytes[3], kHeaders);
  nghttp2_hd_inflater* inflater = nullptr;
  nghttp2_hd_inflate_new(&inflater);
  std::string fields;
  auto* in = reinterpret_cast<uint8_t*>(bytes.data()) + 9;
  size_t left = bytes.size() - 9;
  for (;;) {
    nghttp2_nv field{};
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &field, &flags, in, left, 1);
    ASSERT_GE(taken, 0);
    in += taken;
    left -= static_cast<size_t>(taken);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.append(reinterpret_cast<char*>(field.name), field.namelen).append(": ");
      fields.append(reinterpret_cast<char*>(field.value), field.valuelen).append("\n");
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_del(inflater);
  EXPECT_EQ(fields,
            ":method: POST\n:scheme: http\n:path: /etcdserverpb.KV/Range\n:authority: etcd:2379\n"
            "te: trailers\ncontent-type: application/grpc\nuser-agent: strata-grpc\n"
            "grpc-timeout: 5000m\ntoken: secret\n");
}

TEST(UnarySession, TakesOneCallAfterAnother) {
  UnarySession session("http", "etcd:2379");
  session.Receive(kHello);
  for (uint32_t stream = 1; stream < 2000; stream += 2) {
    ASSERT_TRUE(session.reusable());
    session.Start({.path = "/a/b", .message = "question"}, std::chrono::milliseconds(5));
    EXPECT_FALSE(session.answering());
    session.Produce();
    const std::string expected = std::to_string(stream);
    session.Receive(Head(stream) + Frame(kData, 0, stream, Message(expected)) +
                    Trailers(stream, Literal("grpc-status", "0")));
    ASSERT_TRUE(session.done());
    ASSERT_EQ(*session.TakeAnswer(), expected);
  }
  session.Receive(Frame(kGoAway, 0, 0, "\0\0\7\xcf\0\0\0\0"s));
  EXPECT_FALSE(session.reusable());
}

TEST(UnarySession, RefusesAnAnswerWithoutEnd) {
  UnarySession session("http", "etcd:2379");
  session.Start({.path = "/a/b", .message = "question"}, std::chrono::milliseconds(5));
  session.Produce();
  session.Receive(kHello + Head(1));
  for (int i = 0; i < 1000 && !session.done(); ++i) {
    session.Receive(Frame(kData, 0, 1, std::string(16'000, 'x')));
    session.Produce();
  }
  ASSERT_TRUE(session.done());
  EXPECT_EQ(session.TakeAnswer().status().ToString(),
            "RESOURCE_EXHAUSTED: the answer is larger than 4 MiB");
}

}  // namespace
}  // namespace strata::client
