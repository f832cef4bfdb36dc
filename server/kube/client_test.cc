#include "server/kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <optional>
#include <thread>

#include "test/support/deaf_address.h"
#include "test/support/http_peer.h"
#include "test/support/slow_resolver.h"

namespace strata::kube {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing_support::HttpPeer;
using testing_support::slow_resolver;

class KubeClient : public testing::Test {
 protected:
  Client& ClientOf(const HttpPeer& peer, Config config = {}, const Client::Options& options = {}) {
    config.server = peer.url();
    client = std::make_unique<Client>(config, options, metrics);
    return *client;
  }
  base::StatusOr<Response> Send(Request request) {
    std::promise<base::StatusOr<Response>> promise;
    auto future = promise.get_future();
    client->Send(std::move(request),
                 [&](base::StatusOr<Response> answer) { promise.set_value(std::move(answer)); });
    if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      client->Stop();
      return base::InternalError("the client forgot the request");
    }
    return future.get();
  }

  obs::Metrics metrics;
  std::unique_ptr<Client> client;
};

TEST_F(KubeClient, SendsWhatItIsToldAndKeepsTheConnection) {
  HttpPeer peer([](const auto& request) {
    return HttpPeer::Answer{HttpPeer::Response(201, "you sent " + request.body)};
  });
  Config config;
  config.token = "secret";
  ClientOf(peer, config);
  for (int i = 0; i < 3; ++i) {
    const auto answer =
        Send({.method = "POST", .path = "/apis/x?y=1", .body = "{}", .traceparent = "00-a-b-01"});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->body, "you sent {}");
  }
  EXPECT_EQ(peer.connections(), 1);
  const std::string head = peer.requests()[0].head;
  EXPECT_THAT(head, testing::StartsWith("POST /apis/x?y=1 HTTP/1.1\r\n"));
  EXPECT_THAT(head, HasSubstr("Authorization: Bearer secret\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(head, HasSubstr("Accept: application/json\r\n"));
  EXPECT_THAT(head, HasSubstr("traceparent: 00-a-b-01\r\n"));
}

TEST_F(KubeClient, TakesTheTokenFromItsFileWithoutTheLineBreak) {
  const auto file =
      std::filesystem::temp_directory_path() / ("strata-token-" + std::to_string(getpid()));
  std::ofstream(file) << "from-file\n";
  HttpPeer peer([](const auto&) { return HttpPeer::Answer{HttpPeer::Response(200, "")}; });
  Config config;
  config.token_file = file;
  ClientOf(peer, config);
  ASSERT_TRUE(Send({.path = "/"}).ok());
  EXPECT_THAT(peer.requests()[0].head, HasSubstr("Authorization: Bearer from-file\r\n"));
  std::filesystem::remove(file);
}

TEST_F(KubeClient, NobodyWaitsForAQuestionToTheResolverThatIsNotNeededAnyMore) {
  HttpPeer peer([](const auto&) { return HttpPeer::Answer{HttpPeer::Response(200, "")}; });
  Config config;
  config.server = "http://slow.test" + peer.url().substr(peer.url().rfind(':'));
  client = std::make_unique<Client>(config, Client::Options{}, metrics);
  slow_resolver.Hang(true);
  std::promise<void> answered;
  client->Send({.path = "/first"}, [&](const auto&) { answered.set_value(); });
  while (slow_resolver.asked() == 0) std::this_thread::yield();
  slow_resolver.Hang(false);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Send({.path = "/next"}).ok()) << "its answer is known";
  EXPECT_EQ(answered.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  slow_resolver.Release();
}

TEST_F(KubeClient, OfANameOfSeveralAddressesOneThatIsDeadIsPassedBy) {
  HttpPeer peer([](const auto&) { return HttpPeer::Answer{HttpPeer::Response(200, "here")}; });
  const std::string port = peer.url().substr(peer.url().rfind(':') + 1);
  Config config;
  config.server = "http://two.test:" + port;
  std::optional<testing_support::DeafAddress> first;  // else it refuses
  for (const bool deaf : {false, true}) {
    if (deaf) first.emplace("127.0.0.2", static_cast<uint16_t>(std::stoi(port)));
    client = std::make_unique<Client>(
        config, Client::Options{.connect_timeout = milliseconds(4'000)}, metrics);
    const auto answer = Send({.path = "/"});
    ASSERT_TRUE(answer.ok()) << deaf << " " << answer.status();
    EXPECT_EQ(answer->body, "here");
  }
}

TEST_F(KubeClient, TriesAgainWhereWebhooksDo) {
  for (const auto& [first, expected] : std::vector<std::pair<std::string, int>>{
           {HttpPeer::Response(500, ""), 2},
           {HttpPeer::Response(504, ""), 2},
           {HttpPeer::Response(429, ""), 2},
           {HttpPeer::Response(503, "", "Retry-After: 1\r\n"), 2},
           {"", 2},  // the connection is closed
           {HttpPeer::Response(503, ""), 1},
           {HttpPeer::Response(403, ""), 1}}) {
    std::atomic<int> asked = 0;
    HttpPeer peer([&, text = first](const auto&) {
      return asked++ == 0 ? HttpPeer::Answer{text, !text.empty()}
                          : HttpPeer::Answer{HttpPeer::Response(200, "done")};
    });
    ClientOf(peer);
    const auto answer = Send({.path = "/", .retry = true});
    EXPECT_EQ(asked, expected) << first;
    if (expected == 2) {
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_EQ(answer->body, "done");
    }
    client->Stop();
  }
}

TEST_F(KubeClient, GivesUpAtTheDeadlineAndOnAnswersThatAreTooLarge) {
  HttpPeer silent([](const auto&) { return HttpPeer::Answer{"", true}; });
  ClientOf(silent);
  EXPECT_EQ(Send({.path = "/", .timeout = milliseconds(50)}).status().code(),
            base::StatusCode::kDeadlineExceeded);
  HttpPeer huge([](const auto&) {
    return HttpPeer::Answer{HttpPeer::Response(200, std::string(2000, 'x'))};
  });
  ClientOf(huge, {}, {.max_response_bytes = 1000});
  EXPECT_EQ(Send({.path = "/"}).status().code(), base::StatusCode::kResourceExhausted);
}

TEST_F(KubeClient, RefusesMoreThanItsBoundInFlightAndAnswersAllAtItsEnd) {
  HttpPeer silent([](const auto&) { return HttpPeer::Answer{"", true}; });
  ClientOf(silent, {}, {.max_in_flight = 8});
  const std::string one = "one", another = "another", itself;
  std::map<std::string, int> refused, ended;
  for (const std::string& user : {one, one, one, one, one, one, one, another, another, itself}) {
    client->Send({.path = "/", .on_behalf_of = user}, [&, user](const base::StatusOr<Response>& r) {
      ++(r.status().code() == base::StatusCode::kCancelled ? ended : refused)[user];
    });
  }
  EXPECT_EQ(refused, (std::map<std::string, int>{{one, 1}})) << "six are three quarters";
  client->Stop();
  EXPECT_EQ(ended, (std::map<std::string, int>{{one, 6}, {another, 2}, {itself, 1}}));
}

TEST_F(KubeClient, StreamsUntilTheReceiverHasEnough) {
  HttpPeer peer([](const auto&) {
    return HttpPeer::Answer{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"};
  });
  ClientOf(peer);
  std::vector<std::string> got;
  std::promise<base::Status> ended;
  client->Stream(
      {.path = "/watch"},
      [&](std::string_view bytes) {
        got.emplace_back(bytes);
        return bytes.empty();
      },
      [&](const base::StatusOr<Response>& end) { ended.set_value(end.status()); });
  EXPECT_TRUE(ended.get_future().get().ok());
  EXPECT_THAT(got, testing::ElementsAre("", "one")) << "that it begins is told";
}

TEST_F(KubeClient, SaysWhoCannotBeReached) {
  client =
      std::make_unique<Client>(Config{.server = "http://127.0.0.1:1"}, Client::Options{}, metrics);
  const auto answer = Send({.path = "/"});
  EXPECT_EQ(answer.status().code(), base::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(base::Message(answer.status())), HasSubstr("http://127.0.0.1:1: "));
}

TEST(KubeErrors, AreTheMessagesOfTheirStatus) {
  const base::Status forbidden = ErrorOf(
      {403,
       R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"not you","code":403})"});
  EXPECT_EQ(forbidden.code(), base::StatusCode::kPermissionDenied);
  EXPECT_EQ(base::Message(forbidden), "kube-apiserver answered 403: not you");
  EXPECT_EQ(base::Message(ErrorOf({502, "bad\ngateway"})),
            "kube-apiserver answered 502, and no Status");
  EXPECT_TRUE(ErrorOf({201, ""}).ok());
}

}  // namespace
}  // namespace strata::kube
