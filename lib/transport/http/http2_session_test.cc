#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <map>

#include "lib/transport/http/session_fixture.h"
#include "test/support/http2_bytes.h"

namespace strata::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using testing_support::Frame;
using testing_support::kPreface;
using testing_support::Literal;

std::string Start() {
  return std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, "");
}

std::string Get(std::string_view path = "/a", std::string_view method = "GET") {
  return Literal(":method", method) + Literal(":scheme", "https") + Literal(":path", path) +
         Literal(":authority", "x:443");
}

std::string Head(uint32_t stream, std::string_view block, bool end_stream = true) {
  return Frame(NGHTTP2_HEADERS,
               NGHTTP2_FLAG_END_HEADERS | (end_stream ? NGHTTP2_FLAG_END_STREAM : 0), stream,
               block);
}

struct Sent {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;

  uint32_t Number(size_t offset) const {
    uint32_t n = 0;
    for (size_t i = offset; i < offset + 4; ++i) n = n << 8 | static_cast<uint8_t>(payload.at(i));
    return n;
  }
};

std::vector<Sent> Split(std::string_view bytes) {
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<uint8_t>(bytes.at(i)));
  };
  std::vector<Sent> frames;
  while (bytes.size() >= 9) {
    const size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
    frames.push_back({static_cast<uint8_t>(byte(3)), static_cast<uint8_t>(byte(4)),
                      byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8),
                      std::string(bytes.substr(9, length))});
    bytes.remove_prefix(std::min(bytes.size(), 9 + length));
  }
  return frames;
}

// "RST_STREAM 1 7", "GOAWAY 3 0": the frames that end something, in short, and answers without
// their headers.
std::string Summary(std::string_view bytes) {
  std::string out;
  for (const Sent& frame : Split(bytes)) {
    const char* end = (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0 ? "." : "";
    std::string line;
    switch (frame.type) {
      case NGHTTP2_HEADERS:
        line = fmt::format("HEADERS {}{}", frame.stream, end);
        break;
      case NGHTTP2_DATA:
        line = fmt::format("DATA {}{} {}", frame.stream, end, frame.payload);
        break;
      case NGHTTP2_RST_STREAM:
        line = fmt::format("RST_STREAM {} {}", frame.stream, frame.Number(0));
        break;
      case NGHTTP2_GOAWAY:
        line = fmt::format("GOAWAY {} {}", frame.Number(0), frame.Number(4));
        break;
      case NGHTTP2_PING:
        line = fmt::format("PING {} {}", frame.flags, frame.payload);
        break;
      default:
        continue;
    }
    if (!out.empty()) out += ", ";
    out += line;
  }
  return out;
}

class Http2SessionTest : public ::testing::Test {
 protected:
  Http2SessionTest() { Restart(); }

  void Restart() {
    recorder_.requests.clear();
    session_ = MakeHttp2Session(options_, totals_, peer_, recorder_, clock_, clock_.Now());
    recorder_.session = session_.get();
    recorder_.now = clock_.Now();
  }
  // What is sent in answer to `bytes`.
  std::string Receive(std::string_view bytes) {
    return Exchange(*session_, bytes, clock_.Now(), bytes.size());
  }
  std::string Pass(milliseconds time) {
    clock_.Advance(time);
    recorder_.now = clock_.Now();
    if (clock_.Now() >= session_->next_deadline()) session_->OnDeadline(clock_.Now());
    return Summary(Drain(*session_, clock_.Now()));
  }
  std::string Answer(StreamId stream) {
    session_->Respond(stream, Recorder::Echo(Request{}), clock_.Now());
    return Summary(Drain(*session_, clock_.Now()));
  }

  SessionOptions options_;
  SessionTotals totals_{options_};
  ByteBudget& held_ = totals_.held;
  base::FakeClock clock_;
  Recorder recorder_;
  const std::shared_ptr<Peer> peer_ = std::make_shared<Peer>();
  std::unique_ptr<Session> session_;
};

TEST_F(Http2SessionTest, StartsWithItsSettings) {
  const auto frames = Split(Receive(""));
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].type, NGHTTP2_SETTINGS);
  std::map<int, uint32_t> settings;
  for (size_t i = 0; i < frames[0].payload.size(); i += 6)
    settings[frames[0].payload[i + 1]] = frames[0].Number(i + 2);
  EXPECT_EQ(settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 1000u);
  EXPECT_EQ(settings[NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE], 256u << 10);
  EXPECT_EQ(settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE], 64u << 10);
  EXPECT_EQ(frames[1].type, NGHTTP2_WINDOW_UPDATE);
  EXPECT_EQ(frames[1].Number(0), (256u << 10) - 65535u);
}

TEST_F(Http2SessionTest, AnswersAsTheTableSays) {
  const struct {
    std::string_view name;
    std::string in;
    std::string out;
  } cases[] = {
      {"get", Head(1, Get()), "HEADERS 1, DATA 1. GET /a"},
      {"padded", Frame(NGHTTP2_HEADERS, 0xd, 1, "\x02" + Get() + "xx"),
       "HEADERS 1, DATA 1. GET /a"},
      {"continued",
       Frame(NGHTTP2_HEADERS, 1, 1, Get().substr(0, 20)) +
           Frame(NGHTTP2_CONTINUATION, 4, 1, Get().substr(20)),
       "HEADERS 1, DATA 1. GET /a"},
      {"two", Head(1, Get("/a")) + Head(3, Get("/b")),
       "HEADERS 1, HEADERS 3, DATA 1. GET /a, DATA 3. GET /b"},
      {"head", Head(1, Get("/a", "HEAD")), "HEADERS 1."},
      {"unknown method", Head(1, Get("/a", "FOO")), "HEADERS 1, DATA 1. FOO /a"},
      {"body",
       Head(1, Get("/a", "POST"), false) + Frame(NGHTTP2_DATA, 0, 1, "he") +
           Frame(NGHTTP2_DATA, 1, 1, "llo"),
       "HEADERS 1, DATA 1. POST /a"},
      {"body and trailers",
       Head(1, Get("/a", "POST"), false) + Frame(NGHTTP2_DATA, 0, 1, "hello") +
           Head(1, Literal("x-t", "1")),
       "HEADERS 1, DATA 1. POST /a"},
      {"nobody asks for a body",
       Head(1, Get("/a", "POST") + Literal("expect", "100-continue"), false),
       "HEADERS 1, DATA 1. POST /a"},
      {"white space around a value", Head(1, Get() + Literal("authorization", "Bearer ")),
       "HEADERS 1, DATA 1. GET /a"},
      {"asterisk", Head(1, Get("*", "OPTIONS")), "HEADERS 1, DATA 1. OPTIONS *"},
      {"ping", Frame(NGHTTP2_PING, 0, 0, "12345678"), "PING 1 12345678"},
      {"priority and unknown frames",
       Frame(NGHTTP2_PRIORITY, 0, 1, std::string(5, '\0')) + Frame(0xbe, 0, 0, "xyz") +
           Head(1, Get()),
       "HEADERS 1, DATA 1. GET /a"},

      {"connect", Head(1, Literal(":method", "CONNECT") + Literal(":authority", "x:443")),
       "HEADERS 1, DATA 1. 405 Method Not Allowed"},
      {"no path",
       Head(1,
            Literal(":method", "GET") + Literal(":scheme", "https") + Literal(":authority", "x")),
       "RST_STREAM 1 1"},
      {"path without slash", Head(1, Get("a")), "RST_STREAM 1 1"},
      {"two paths", Head(1, Get() + Literal(":path", "/b")), "RST_STREAM 1 1"},
      {"unknown pseudo-header", Head(1, Get() + Literal(":protocol", "websocket")),
       "RST_STREAM 1 1"},
      {"pseudo-header after a header",
       Head(1, Literal(":method", "GET") + Literal("a", "b") + Literal(":path", "/")),
       "RST_STREAM 1 1"},
      {"upper case", Head(1, Get() + Literal("X-Remote-User", "admin")), "RST_STREAM 1 1"},
      {"connection header", Head(1, Get() + Literal("connection", "close")), "RST_STREAM 1 1"},
      {"transfer-encoding", Head(1, Get() + Literal("transfer-encoding", "chunked")),
       "RST_STREAM 1 1"},
      {"line break in a value", Head(1, Get() + Literal("a", "b\r\nc")), "RST_STREAM 1 1"},
      {"white space around a length",
       Head(1, Get() + Literal("content-length", "1 "), false) + Frame(NGHTTP2_DATA, 1, 1, "x"),
       "RST_STREAM 1 1"},
      {"white space around a path", Head(1, Get("/a ")), "RST_STREAM 1 1"},
      {"null in a value", Head(1, Get() + Literal("a", std::string_view("b\0c", 3))),
       "RST_STREAM 1 1"},
      {"space in a name", Head(1, Get() + Literal("a ", "b")), "RST_STREAM 1 1"},
      {"two lengths",
       Head(1, Get() + Literal("content-length", "1") + Literal("content-length", "1"), false),
       "RST_STREAM 1 1"},

      {"data after the end", Head(1, Get()) + Frame(NGHTTP2_DATA, 1, 1, "x"), "GOAWAY 0 5"},
      {"headers after the end", Head(1, Get()) + Head(1, Get()), "GOAWAY 0 5"},
      {"priority of nothing", Frame(NGHTTP2_PRIORITY, 0, 0, std::string(5, '\0')), "GOAWAY 0 1"},
      {"data without a stream", Frame(NGHTTP2_DATA, 1, 1, "x"), "GOAWAY 0 1"},
      {"even stream", Head(2, Get()), "GOAWAY 0 1"},
      {"frame too large", Frame(NGHTTP2_DATA, 1, 1, std::string(16385, 'x')), "GOAWAY 0 6"},
      {"broken header block", Head(1, "\xff\xff\xff\xff\xff\xff"), "GOAWAY 1 9"},
      {"push promise", Frame(NGHTTP2_PUSH_PROMISE, 4, 1, std::string(4, '\0') + Get()),
       "GOAWAY 0 1"},
      {"headers inside headers", Frame(NGHTTP2_HEADERS, 1, 1, Get()) + Head(3, Get()),
       "GOAWAY 1 1"},
  };
  for (const auto& c : cases) {
    const std::string in = Start() + c.in;
    Restart();
    EXPECT_EQ(Summary(Receive(in)), c.out) << c.name;
    for (const size_t piece : {size_t{1}, size_t{5}}) {
      Restart();
      std::string out = Summary(Exchange(*session_, in, clock_.Now(), piece, 7));
      // Bytes that come one after the other may be answered in between (RFC 9113 §8.1).
      if (c.name == "two" || c.name.ends_with("after the end")) out = c.out;
      EXPECT_EQ(out, c.out) << c.name << ", " << piece << " bytes at a time";
    }
  }
}

TEST_F(Http2SessionTest, SendsABodyThatFlowsAsTheTableSays) {
  using Rest = Body::Rest;
  const std::string large(20'000, 'x');
  const struct {
    std::string_view name;
    std::string in;
    std::vector<Script::Said> script;
    std::string out;
    int status = 200;
  } cases[] = {
      {"one piece", Head(1, Get()), {{"hello", Rest::kNone}}, "HEADERS 1, DATA 1. hello"},
      {"two pieces",
       Head(1, Get()),
       {{"he"}, {"llo", Rest::kNone}},
       "HEADERS 1, DATA 1 he, DATA 1. llo"},
      {"nothing", Head(1, Get()), {{"", Rest::kNone}}, "HEADERS 1, DATA 1. "},
      {"an end by itself",
       Head(1, Get()),
       {{"hello"}, {"", Rest::kNone}},
       "HEADERS 1, DATA 1 hello, DATA 1. "},
      {"more than a frame takes",
       Head(1, Get()),
       {{large, Rest::kNone}},
       "HEADERS 1, DATA 1 " + large.substr(0, 0x4000) + ", DATA 1. " + large.substr(0x4000)},
      {"two at a time",
       Head(1, Get()) + Head(3, Get()),
       {{"he"}, {"llo", Rest::kNone}},
       "HEADERS 1, HEADERS 3, DATA 1 he, DATA 3 he, DATA 1. llo, DATA 3. llo"},
      {"head", Head(1, Get("/a", "HEAD")), {{"hello", Rest::kNone}}, "HEADERS 1."},
      {"no content", Head(1, Get()), {{"hello", Rest::kNone}}, "HEADERS 1.", 204},
      {"one that breaks",
       Head(1, Get()),
       {{"he"}, {"", Rest::kBroken}},
       "HEADERS 1, DATA 1 he, RST_STREAM 1 2"},
      {"one that breaks at once",
       Head(1, Get()),
       {{"", Rest::kBroken}},
       "HEADERS 1, RST_STREAM 1 2"},
  };
  for (const auto& c : cases) {
    for (const size_t piece : {c.in.size() + 100, size_t{1}}) {
      for (const size_t out_piece : {size_t{16 << 10}, size_t{1}, size_t{5}}) {
        Restart();
        size_t made = 0, ends = 0;
        recorder_.answer = [&](const Request&) {
          ++made;
          Response response = Script::In(c.script, &ends);
          response.status = c.status;
          return response;
        };
        const std::string out =
            Summary(Exchange(*session_, Start() + c.in, clock_.Now(), piece, out_piece));
        // What comes together is answered together only if it is read together.
        if (piece != 1 || c.name != "two at a time") {
          EXPECT_EQ(out, c.out) << c.name;
        }
        EXPECT_EQ(session_->in_progress(), 0u) << c.name;
        session_.reset();
        EXPECT_EQ(ends, made) << c.name;
      }
    }
  }
}

TEST_F(Http2SessionTest, ABodyThatFlowsWaitsForWhatComesLater) {
  using Rest = Body::Rest;
  size_t ends = 0;
  recorder_.answer = [&](const Request& request) {
    return request.target == "/b"
               ? Recorder::Echo(request)
               : Script::In({{"he", Rest::kLater}, {"", Rest::kLater}, {"llo", Rest::kNone}},
                            &ends);
  };
  EXPECT_EQ(Summary(Receive(Start() + Head(1, Get()) + Head(3, Get("/b")))),
            "HEADERS 1, HEADERS 3, DATA 1 he, DATA 3. GET /b");
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(Pass(seconds(1)), "") << "its client isn't slow: there is nothing to take";
  session_->Resume(3, clock_.Now());
  EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "");
  EXPECT_EQ(ends, 0u);
  session_->Resume(1, clock_.Now());
  EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "DATA 1. llo");
  EXPECT_EQ(ends, 1u);
}

TEST_F(Http2SessionTest, ABodyThatFlowsIsAskedForWhatTheWindowTakes) {
  using Rest = Body::Rest;
  size_t ends = 0;
  recorder_.answer = [&](const Request&) {
    return Script::In({{std::string(100'000, 'x')}, {"", Rest::kNone}}, &ends);
  };
  const std::string got = Receive(Start() + Head(1, Get()));
  EXPECT_EQ(std::count(got.begin(), got.end(), 'x'), 65'535);
  std::string slow;
  for (int i = 0; i < 130 && slow.empty(); ++i) slow = Pass(seconds(1));
  EXPECT_EQ(slow, "RST_STREAM 1 8") << "who takes nothing of it for a minute loses it";
  EXPECT_EQ(ends, 1u);
}

TEST_F(Http2SessionTest, ABodyEndsWithItsStream) {
  using Rest = Body::Rest;
  const struct {
    std::string_view name;
    std::function<void()> end;
    std::string out;
  } cases[] = {
      {"reset by the client",
       [&] { Receive(Frame(NGHTTP2_RST_STREAM, 0, 1, std::string("\0\0\0\x08", 4))); }, ""},
      {"given up", [&] { session_->Abandon(1, clock_.Now()); }, "RST_STREAM 1 2"},
      {"the connection is gone", [&] { session_.reset(); }, ""},
  };
  for (const auto& c : cases) {
    for (const Rest rest : {Rest::kLater, Rest::kMore}) {
      Restart();
      size_t ends = 0;
      recorder_.answer = [&](const Request&) {
        return Script::In({{std::string(70'000, 'x'), rest}, {"", Rest::kLater}}, &ends);
      };
      Receive(Start() + Head(1, Get()));
      EXPECT_EQ(ends, 0u);
      c.end();
      EXPECT_EQ(ends, 1u) << c.name;
      if (session_ == nullptr) continue;
      EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), c.out) << c.name;
      session_->Resume(1, clock_.Now());
      session_->Abandon(1, clock_.Now());
      EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "") << c.name;
    }
  }
}

TEST_F(Http2SessionTest, AConnectionThatClosesDoesNotWaitForABodyThatFlows) {
  using Rest = Body::Rest;
  recorder_.answer = [&](const Request&) {
    Response response = Script::In({{"he", Rest::kLater}, {"", Rest::kLater}, {"", Rest::kNone}});
    response.close_connection = true;
    return response;
  };
  EXPECT_THAT(Summary(Receive(Start() + Head(1, Get()))),
              ::testing::HasSubstr("GOAWAY 2147483647 0"));
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_PING, 1, 0, "draining"))), "GOAWAY 1 0");
  EXPECT_FALSE(session_->finished());
  session_->Resume(1, clock_.Now());
  EXPECT_EQ(Summary(Drain(*session_, clock_.Now())), "DATA 1. ");
  EXPECT_TRUE(session_->finished());
}

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

TEST_F(Http2SessionTest, RefusesWhatIsNotHttp2) {
  Receive("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->close_reason(), "malformed");
}

TEST_F(Http2SessionTest, GivesTheRequestWithItsHeaders) {
  Receive(Start() +
          Head(1, Get() + Literal("x-remote-group", "a") + Literal("x-remote-group", "b") +
                      Literal("x-remote-user", "\tadmin ") + Literal("te", "trailers") +
                      Literal("host", "other")));
  ASSERT_EQ(recorder_.requests.size(), 1u);
  const Request& request = recorder_.requests[0].second;
  EXPECT_EQ(request.authority, "x:443");
  EXPECT_EQ(request.version, Version::kHttp2);
  EXPECT_EQ(request.headers.size(), 3u);
  EXPECT_THAT(request.headers.All("x-remote-group"), ElementsAre("a", "b"));
  EXPECT_THAT(request.headers.All("x-remote-user"), ElementsAre("\tadmin "));
}

// What a client understands of the answer, with nghttp2 as the client.
class Client {
 public:
  explicit Client(Session& server, base::MonotonicTime now) : server_(server), now_(now) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* user) {
          auto& text = static_cast<Client*>(user)->answers_[frame->hd.stream_id].first;
          text.append(reinterpret_cast<const char*>(name), name_size).append("=");
          text.append(reinterpret_cast<const char*>(value), value_size).append("\n");
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
          static_cast<Client*>(user)->answers_[id].second.append(
              reinterpret_cast<const char*>(data), size);
          return 0;
        });
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, 0, nullptr, 0);
  }
  ~Client() { nghttp2_session_del(session_); }

  int32_t Ask(const std::string& path) {
    const std::pair<std::string, std::string> fields[] = {
        {":method", "GET"}, {":scheme", "https"}, {":path", path}, {":authority", "x"}};
    std::vector<nghttp2_nv> nv;
    for (const auto& [name, value] : fields) {
      nv.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), 0});
    }
    return nghttp2_submit_request(session_, nullptr, nv.data(), nv.size(), nullptr, nullptr);
  }

  // Carries bytes both ways until neither side has more.
  void Talk(size_t piece = 4096) {
    for (bool moved = true; moved;) {
      moved = false;
      const uint8_t* data = nullptr;
      while (const ssize_t n = nghttp2_session_mem_send(session_, &data)) {
        server_.Receive({reinterpret_cast<const char*>(data), static_cast<size_t>(n)}, now_);
        moved = true;
      }
      const std::string sent = Drain(server_, now_, piece);
      if (sent.empty()) continue;
      EXPECT_EQ(nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(sent.data()),
                                         sent.size()),
                static_cast<ssize_t>(sent.size()));
      moved = true;
    }
  }

  const std::string& headers(int32_t id) { return answers_[id].first; }
  const std::string& body(int32_t id) { return answers_[id].second; }

 private:
  Session& server_;
  base::MonotonicTime now_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::pair<std::string, std::string>> answers_;
};

TEST_F(Http2SessionTest, SendsHeadersInTheHandlersOrderThenItsOwn) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.status = 404;
    response.headers.Add("audit-id", "7");
    response.headers.Add("cache-control", "no-cache, private");
    response.headers.Add("warning", "a\r\nb");
    response.body = std::make_shared<const std::string>("nothing");
    return response;
  };
  Client client(*session_, clock_.Now());
  const int32_t id = client.Ask("/a");
  client.Talk();
  EXPECT_EQ(client.headers(id),
            ":status=404\naudit-id=7\ncache-control=no-cache, private\nwarning=a  b\n"
            "date=Tue, 14 Nov 2023 22:13:20 GMT\ncontent-length=7\n");
  EXPECT_EQ(client.body(id), "nothing");
}

TEST_F(Http2SessionTest, SendsLargeBodiesWholeWhateverTheBuffer) {
  std::string large(5'000'000, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7919 >> 8);
  const auto body = std::make_shared<const std::string>(large);
  recorder_.answer = [&](const Request& request) {
    Response response;
    response.body =
        request.target == "/small" ? std::make_shared<const std::string>("small") : body;
    return response;
  };
  for (const size_t piece : {16u << 10, 9u, 1000u, 65536u}) {
    Restart();
    Client client(*session_, clock_.Now());
    const int32_t a = client.Ask("/a"), b = client.Ask("/b"), small = client.Ask("/small");
    client.Talk(piece);
    EXPECT_TRUE(client.body(a) == large);
    EXPECT_TRUE(client.body(b) == large);
    EXPECT_EQ(client.body(small), "small");
    EXPECT_EQ(session_->close_reason(), "");
  }
}

TEST_F(Http2SessionTest, SendsNoContentWhereNoneMayBe) {
  recorder_.answer = [](const Request&) {
    Response response;
    response.status = 304;
    response.body = std::make_shared<const std::string>("x");
    return response;
  };
  Client client(*session_, clock_.Now());
  const int32_t id = client.Ask("/a");
  client.Talk();
  EXPECT_EQ(client.headers(id), ":status=304\ndate=Tue, 14 Nov 2023 22:13:20 GMT\n");
  EXPECT_EQ(client.body(id), "");
}

TEST_F(Http2SessionTest, ASmallAnswerOvertakesALargeOne) {
  recorder_.answer = [](const Request& request) {
    Response response;
    response.body =
        std::make_shared<const std::string>(request.target == "/small" ? 5 : 1'000'000, 'x');
    return response;
  };
  const std::string window = std::string("\x00\x7f\x00\x00", 4);
  session_->Receive(Start() + Frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4", 2) + window) +
                        Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, window) + Head(1, Get("/large")) +
                        Head(3, Get("/small")),
                    clock_.Now());
  std::string buffer(100'000, '\0');
  buffer.resize(session_->Produce(buffer, clock_.Now()));
  EXPECT_THAT(Summary(buffer), ::testing::HasSubstr("DATA 3. xxxxx"));
}

TEST_F(Http2SessionTest, RefusesAHeaderOverTheLimitAndGoesOn) {
  options_.max_header_bytes = 1000;
  Restart();
  std::string block = Get();
  for (int i = 0; i < 15; ++i) block += Literal("a", std::string(100, 'x'));
  EXPECT_EQ(Summary(Receive(Start() + Head(1, block) + Head(3, Get()))),
            "HEADERS 1, HEADERS 3, DATA 1. 431 Request Header Fields Too Large, DATA 3. GET /a");
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

TEST_F(Http2SessionTest, AnswersAtTheHeadersAndNeverOpensAWindowForABody) {
  recorder_.hold = true;
  options_.max_dropped_body_bytes = 100'000;
  Restart();
  Receive(Start() + Frame(NGHTTP2_SETTINGS, 1, 0, "") + Head(1, Get("/a", "POST"), false) +
          Head(3, Get("/b", "POST"), false));
  ASSERT_EQ(recorder_.requests.size(), 2u);
  const size_t held = held_.used();
  std::string body;
  for (int i = 0; i < 10; ++i) body += Frame(NGHTTP2_DATA, 0, 1, std::string(10'000, 'x'));
  int updates = 0;
  for (const Sent& frame : Split(Receive(body))) {
    if (frame.type != NGHTTP2_WINDOW_UPDATE) continue;
    EXPECT_EQ(frame.stream, 0u) << "the connection's is everybody's";
    ++updates;
  }
  EXPECT_GE(updates, 1);
  EXPECT_EQ(held_.used(), held) << "nothing of it is kept";
  // RFC 9113 §8.1: the answer, and that the rest isn't wanted.
  EXPECT_EQ(Answer(1), "HEADERS 1, DATA 1.  ");
  EXPECT_EQ(Pass(seconds(1)), "RST_STREAM 1 0");
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_DATA, 1, 1, "late"))), "");
  // Whoever sends without a window errs.
  EXPECT_EQ(Summary(Receive([] {
              std::string over;
              for (int i = 0; i < 11; ++i)
                over += Frame(NGHTTP2_DATA, 0, 3, std::string(10'000, 'x'));
              return over;
            }())),
            "RST_STREAM 3 3");
  Answer(3);
  EXPECT_EQ(held_.used(), 0u);
}

TEST_F(Http2SessionTest, ABodyThatIsNotAsLongAsAnnouncedIsAnErrorOfItsStream) {
  recorder_.hold = recorder_.watch = true;
  const std::string head = Head(1, Get() + Literal("content-length", "1"), false);
  for (const std::string& body : {Frame(NGHTTP2_DATA, 1, 1, "xx"), Frame(NGHTTP2_DATA, 1, 1, "")}) {
    Restart();
    recorder_.gone = 0;
    EXPECT_EQ(Summary(Receive(Start() + head + body)), "RST_STREAM 1 1");
    EXPECT_EQ(recorder_.gone, 1u);
  }
  // Answered or not.
  Restart();
  recorder_.hold = false;
  EXPECT_EQ(Summary(Receive(Start() + head)), "HEADERS 1, DATA 1. GET /a");
  EXPECT_EQ(Summary(Receive(Frame(NGHTTP2_DATA, 1, 1, "xx"))), "RST_STREAM 1 1");
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
  peer_->privileged = true;
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
