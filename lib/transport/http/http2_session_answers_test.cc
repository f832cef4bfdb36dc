#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/transport/http/http2_session_fixture_test.h"

namespace strata::http {
namespace {

using std::chrono::seconds;

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

}  // namespace
}  // namespace strata::http
