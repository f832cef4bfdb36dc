#include "lib/transport/http/http2_client_session.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/transport/http/http2_field.h"
#include "test/support/http2_bytes.h"

namespace strata::http {
namespace {

using std::string_literals::operator""s;
using namespace testing_support;  // NOLINT(google-build-using-namespace): a frame's constants

const std::string kHello = Frame(kSettings, 0, 0, "");
const std::string kOk = Literal(":status", "200");

std::string Head(uint32_t stream, const std::string& fields = kOk) {
  return Frame(kHeaders, kEndHeaders, stream, fields);
}
std::string Trailers(uint32_t stream, const std::string& fields) {
  return Frame(kHeaders, kEndHeaders | kEndStream, stream, fields);
}

// Writes down what comes: fields, and bodies in braces whatever their parts.
class Session final : private Http2ClientSession::Receiver, public Http2ClientSession {
 public:
  explicit Session(const std::string& scheme = "http")
      : Http2ClientSession(scheme, "server:80", *this) {}

  std::string Ask(const std::string& body = "question") {
    heard_.clear();
    Start("POST", "/path", {}, body);
    return Produce();
  }
  // What comes of an answer that arrives in such parts; then the connection ends.
  std::string Answer(const std::string& bytes, size_t part) {
    for (size_t at = 0; at < bytes.size() && !done(); at += part)
      Receive(std::string_view(bytes).substr(at, part));
    if (!done()) ReceiveEnd();
    std::string all = heard_;
    if (reset() != NGHTTP2_NO_ERROR) all += " reset " + std::to_string(reset());
    if (!broken().empty()) all += " broken: " + std::string(broken());
    return all;
  }
  const std::string& heard() const { return heard_; }
  size_t most_body = std::string::npos;  // more is too much

 private:
  void OnField(std::string_view name, std::string_view value) override {
    heard_.append(" ").append(name).append("=").append(value);
  }
  void OnBody(std::string_view bytes) override {
    if (heard_.size() + bytes.size() > most_body) return Abandon();
    if (heard_.ends_with('}')) {
      heard_.pop_back();
      heard_.append(bytes).append("}");
    } else {
      heard_.append(" {").append(bytes).append("}");
    }
  }

  std::string heard_;
};

TEST(Http2ClientSession, UnderstandsWhatServersAnswer) {
  const struct {
    const char* name;
    std::string bytes;
    std::string heard;
  } kCases[] = {
      {"a body", kHello + Head(1) + Frame(kData, kEndStream, 1, "hello"), " :status=200 {hello}"},
      {"a head alone", kHello + Trailers(1, Literal(":status", "502")), " :status=502"},
      {"trailers",
       kHello + Head(1) + Frame(kData, 0, 1, "hello") + Trailers(1, Literal("end", "good")),
       " :status=200 {hello} end=good"},
      {"in several frames, with others between",
       kHello + Head(1) + Frame(kData, 0, 1, "hel") + Frame(kPing, 0, 0, "12345678") +
           Frame(kData, kEndStream, 1, "lo"),
       " :status=200 {hello}"},
      {"an interim answer first",
       kHello + Head(1, Literal(":status", "100")) + Head(1) + Frame(kData, kEndStream, 1, "x"),
       " :status=100 :status=200 {x}"},
      {"a reset", kHello + Head(1) + Frame(kReset, 0, 1, "\0\0\0\2"s), " :status=200 reset 2"},
      {"farewell before the request", kHello + Frame(kGoAway, 0, 0, "\0\0\0\0\0\0\0\0"s),
       " reset 7 broken: the server is going away"},
      {"farewell after it",
       kHello + Frame(kGoAway, 0, 0, "\0\0\0\1\0\0\0\0"s) + Head(1) +
           Frame(kData, kEndStream, 1, "x"),
       " :status=200 {x} broken: the server is going away"},
      {"an end", kHello + Head(1), " :status=200 broken: it was closed"},
      {"no SETTINGS first", Head(1), " broken: that is no HTTP/2: is it https://?"},
      {"another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n",
       " broken: that is no HTTP/2: is it https://?"},
      {"another request's answer", kHello + Head(3), " broken: that is no HTTP/2: is it https://?"},
      {"a pushed request",
       kHello + Frame(kSettings, 1, 0, "") + Frame(5, kEndHeaders, 1, "\0\0\0\2"s + kOk),
       " broken: that is no HTTP/2: is it https://?"},
  };
  for (const auto& c : kCases) {
    for (const size_t part : {c.bytes.size(), size_t{1}}) {
      Session session;
      session.Ask();
      EXPECT_EQ(session.Answer(c.bytes, part), c.heard) << c.name << ", in parts of " << part;
      EXPECT_TRUE(session.done()) << c.name;
    }
  }
}

TEST(Http2ClientSession, HearsTheSameWhereverTheBytesAreParted) {
  const std::string bytes = kHello + Head(1) + Frame(kData, 0, 1, "hello") +
                            Frame(kPing, 0, 0, "12345678") + Trailers(1, Literal("end", "good"));
  for (size_t at = 0; at <= bytes.size(); ++at) {
    Session session;
    session.Ask();
    session.Receive(std::string_view(bytes).substr(0, at));
    session.Produce();
    EXPECT_EQ(session.Answer(bytes.substr(at), bytes.size()), " :status=200 {hello} end=good")
        << at;
  }
}

TEST(Http2ClientSession, DoesNotBlameTheSchemeOverTls) {
  Session session("https");
  session.Ask();
  EXPECT_EQ(session.Answer("HTTP/1.1 400 Bad Request\r\n\r\n", 99), " broken: that is no HTTP/2");
}

TEST(Http2ClientSession, SendsThePrefaceSettingsHeadAndBody) {
  Session session;
  const std::string bytes = session.Ask("question");
  ASSERT_TRUE(bytes.starts_with(kPreface));
  EXPECT_EQ(bytes.substr(kPreface.size(), 15), Frame(kSettings, 0, 0, "\0\2\0\0\0\0"s));
  EXPECT_TRUE(bytes.ends_with(Frame(kData, kEndStream, 1, "question")));
  EXPECT_EQ(bytes[kPreface.size() + 15 + 3], kHeaders);
}

TEST(Http2ClientSession, SendsABodyAsTheWindowOpens) {
  Session session;
  session.Ask(std::string(100'000, 'q'));
  session.Receive(kHello);
  EXPECT_EQ(session.Produce(), Frame(kSettings, 1, 0, ""))
      << "65535 bytes are all that may be sent";
  const std::string open = "\0\1\0\0"s;  // 65536
  session.Receive(Frame(8, 0, 0, open) + Frame(8, 0, 1, open));
  EXPECT_GE(session.Produce().size(), 100'000u - 65'535u);
}

TEST(Http2ClientSession, TakesOneRequestAfterAnother) {
  Session session;
  session.Receive(kHello);
  for (uint32_t stream = 1; stream < 2000; stream += 2) {
    ASSERT_TRUE(session.reusable());
    session.Ask();
    EXPECT_FALSE(session.answering());
    session.Receive(Head(stream) + Frame(kData, kEndStream, stream, std::to_string(stream)));
    ASSERT_TRUE(session.done());
    ASSERT_EQ(session.heard(), " :status=200 {" + std::to_string(stream) + "}");
  }
  session.Receive(Frame(kGoAway, 0, 0, "\0\0\7\xcf\0\0\0\0"s));
  EXPECT_FALSE(session.reusable());
  session.Ask();
  EXPECT_TRUE(session.done());
  EXPECT_EQ(session.broken(), "the server is going away");
}

TEST(Http2ClientSession, AnAbandonedRequestIsResetAndTheNextOneHearsNothingOfIt) {
  Session session;
  session.most_body = 40;
  session.Ask();
  session.Receive(kHello + Head(1) + Frame(kData, 0, 1, std::string(50, 'x')));
  ASSERT_TRUE(session.done());
  EXPECT_EQ(session.reset(), static_cast<uint32_t>(NGHTTP2_CANCEL));
  EXPECT_NE(session.Produce().find(Frame(kReset, 0, 1, "\0\0\0\x8"s)), std::string::npos);
  session.Ask();
  EXPECT_EQ(
      session.Answer(
          Frame(kData, kEndStream, 1, "late") + Head(3) + Frame(kData, kEndStream, 3, "next"), 1),
      " :status=200 {next}");
}

}  // namespace
}  // namespace strata::http
