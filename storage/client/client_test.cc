// Against the embedded store, which speaks the real protocol; etcd itself is asked in
// test/integration.
#include "storage/client/client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <thread>
#include <variant>

#include "lib/obs/log.h"
#include "proto/etcd/rpc.pb.h"
#include "storage/client/address.h"
#include "storage/client/watch.h"
#include "storage/engine/store.h"
#include "storage/rpc/server.h"
#include "test/support/silent_listener.h"

namespace strata::client {
namespace {

using testing::HasSubstr;

base::MonotonicTime Soon() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(10);
}

TEST(ClientOptions, ErrorsNameTheFlag) {
  obs::Metrics metrics;
  const struct {
    Options options;
    std::string error;
  } kCases[] = {
      {{}, "--etcd-servers: at least one URL"},
      {{.endpoints = {"localhost:2379"}}, "--etcd-servers: \"localhost:2379\" isn't a URL"},
      {{.endpoints = {"https://x:1"}, .ca_file = "/no/such/file"},
       "--etcd-cafile: cannot read /no/such/file"},
      {{.endpoints = {"ftp://x:1"}}, "\"ftp://x:1\" isn't a URL"},
      {{.endpoints = {"http://:2379"}}, "isn't a URL"},
      {{.endpoints = {"http://x:0"}}, "isn't a URL"},
      {{.endpoints = {"http://x:65536"}}, "isn't a URL"},
      {{.endpoints = {"http://x:port"}}, "isn't a URL"},
      {{.endpoints = {"http://user:password@x:1"}}, "isn't a URL"},
      {{.endpoints = {"http://[::1"}}, "isn't a URL"},
      {{.endpoints = {"unix://"}}, "isn't a URL"},
      {{.endpoints = {"unix:///" + std::string(107, 'a')}},
       "a socket's path has at most 107 bytes"},
      {{.endpoints = {"https://x:1"}, .cert_file = "/proc/self/status"},
       "--etcd-certfile and --etcd-keyfile go together"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(
        std::string(base::Message(Client::Create(c.options, obs::NullLogger(), metrics).status())),
        HasSubstr(c.error));
  }
}

TEST(ClientOptions, AnAddressIsTakenApart) {
  const struct {
    std::string url, host, port, authority;
  } kCases[] = {
      {"http://etcd:2379", "etcd", "2379", "etcd:2379"},
      {"https://etcd:2379/", "etcd", "2379", "etcd:2379"},
      {"https://etcd", "etcd", "443", "etcd"},
      {"http://[::1]:1", "::1", "1", "[::1]:1"},
      {"http://[fe80::1%eth0]", "fe80::1%eth0", "80", "[fe80::1%eth0]"},
      {"unix:///run/etcd", "/run/etcd", "", "localhost"},
      {"unixs:///run/etcd", "/run/etcd", "", "localhost"},
  };
  for (const auto& c : kCases) {
    const auto address = ParseAddress(c.url);
    ASSERT_TRUE(address.ok()) << c.url << address.status();
    EXPECT_EQ(address->host, c.host) << c.url;
    EXPECT_EQ(address->port, c.port) << c.url;
    EXPECT_EQ(address->authority, c.authority) << c.url;
    EXPECT_EQ(address->tls, c.url.find("s://") < 6) << c.url;
  }
}

TEST(ClientOptions, AnEndpointThatIsNotThereIsAnErrorWithinTheDeadline) {
  obs::Metrics metrics;
  auto client = *Client::Create({.endpoints = {"http://127.0.0.1:1", "http://127.0.0.1:2"}},
                                obs::NullLogger(), metrics);
  const auto result =
      client->Range({.key = "a"}, std::chrono::steady_clock::now() + std::chrono::seconds(20));
  EXPECT_EQ(result.status().code(), base::StatusCode::kUnavailable) << result.status();
}

class StoreClient : public testing::Test {
 protected:
  StoreClient()
      : directory(
            (std::filesystem::temp_directory_path() / ("strata-client-" + std::to_string(getpid())))
                .string()),
        store(*engine::Store::Open(directory, {}, clock, obs::NullLogger(), metrics)),
        server(*store, {}, obs::NullLogger(), metrics) {
    EXPECT_TRUE(server.Start().ok());
    client = Client::OverChannel(
        server.InProcessChannel(), metrics,
        [this](const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response) {
          return server.Range(request, response);
        });
  }
  ~StoreClient() override {
    client.reset();
    server.Shutdown(absl::Seconds(1));
    std::filesystem::remove_all(directory);
  }

  base::Revision PutOne(const std::string& key, const std::string& value) {
    base::Revision expected = 0;
    const auto now = client->Range({.key = key}, Soon());
    if (!now->kvs.empty()) expected = now->kvs[0].mod_revision;
    EXPECT_TRUE(Commit({{key, value, expected}}));
    return now->revision + 1;
  }

  bool Commit(const std::vector<Change>& changes) {
    const auto done = client->Commit(IfUnchanged(changes), Soon());
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() && done->succeeded;
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  const std::string directory;
  std::unique_ptr<engine::Store> store;
  rpc::Server server;
  std::unique_ptr<Client> client;
};

TEST_F(StoreClient, ReadsTheSameDirectly) {
  rpc::Server listening(*store, {.listen_urls = {"http://127.0.0.1:0"}}, obs::NullLogger(),
                        metrics);
  ASSERT_TRUE(listening.Start().ok());
  for (int i = 0; i < 5; ++i) PutOne("key-" + std::to_string(i), std::string(10'000, 'v'));
  const auto dialled = *Client::Create({.endpoints = listening.urls()}, obs::NullLogger(), metrics);
  const auto bare = Client::OverChannel(server.InProcessChannel(), metrics);
  const RangeOptions kCases[] = {
      {.key = "key-1"},
      {.key = "none"},
      {.key = "key", .end = "kez", .limit = 2},
      {.key = "key", .end = "kez", .limit = 1, .keys_only = true, .newest_first = true},
      {.key = "key", .end = "kez", .revision = 3, .count_only = true},
      {.key = "key-1", .revision = 99},
  };
  const auto text = [](const base::StatusOr<RangeResult>& result) {
    // Without the endpoint.
    if (!result.ok()) return result.status().ToString().substr(0, 12);
    std::string all = fmt::format("{} {} {} {}", result->more, result->count, result->revision,
                                  result->cluster_id);
    for (const KeyValue& kv : result->kvs)
      all +=
          fmt::format(" {} {} {} {}", kv.key, kv.value.size(), kv.create_revision, kv.mod_revision);
    return all;
  };
  for (const RangeOptions& options : kCases) {
    const std::string expected = text(client->Range(options, Soon()));
    EXPECT_EQ(text(client->RangeDirectly(options, Soon())), expected);
    EXPECT_EQ(text(dialled->RangeDirectly(options, Soon())), expected);
    EXPECT_EQ(text(bare->RangeDirectly(options, Soon())), expected);
  }
  listening.Shutdown(absl::Seconds(1));
}

// As etcd is while it starts: the kernel takes the connection, nobody speaks.
TEST_F(StoreClient, AServerThatListensBeforeItServesIsReachedOnceItDoes) {
  std::optional<testing_support::SilentListener> silent(std::in_place);
  const std::string url = "http://" + silent->address();
  auto dialling = *Client::Create({.endpoints = {url}}, obs::NullLogger(), metrics);
  for (int i = 0; i < 3; ++i) {
    const auto unanswered = dialling->Range(
        {.key = "a"}, std::chrono::steady_clock::now() + std::chrono::milliseconds(300));
    EXPECT_FALSE(unanswered.ok());
  }
  silent.reset();

  rpc::Server late(*store, {.listen_urls = {url}}, obs::NullLogger(), metrics);
  ASSERT_TRUE(late.Start().ok());
  const base::MonotonicTime deadline = Soon();
  auto answer = dialling->Range({.key = "a"}, deadline);
  while (!answer.ok() && std::chrono::steady_clock::now() < deadline) {
    // As a caller that backs off: nothing waits on the channel meanwhile.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    answer = dialling->Range({.key = "a"}, deadline);
  }
  EXPECT_TRUE(answer.ok()) << answer.status();
  dialling.reset();
  late.Shutdown(absl::Seconds(1));
}

TEST_F(StoreClient, PagesAreOfOneRevision) {
  for (const char* key : {"a", "b", "c"}) PutOne(key, "1");
  const auto first = client->Range({.key = "a", .end = "z", .limit = 2}, Soon());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->more);
  PutOne("c", "2");
  const auto second = client->Range(
      {.key = std::string("b\0", 2), .end = "z", .revision = first->revision}, Soon());
  ASSERT_EQ(second->kvs.size(), 1u);
  EXPECT_EQ(second->kvs[0].value, "1");
  EXPECT_EQ(second->revision, first->revision + 1);
}

TEST_F(StoreClient, AChangeWhoseExpectationFailsChangesNothing) {
  PutOne("a", "1");
  EXPECT_FALSE(Commit({{"b", "x", 0}, {"a", "x", 99}}));
  EXPECT_TRUE(client->Range({.key = "b"}, Soon())->kvs.empty());
}

// What was done: "put", "2 deleted", "range a=1 b=2".
std::string Text(const base::StatusOr<TxnResult>& result) {
  if (!result.ok()) return result.status().ToString();
  std::string text = result->succeeded ? "success" : "failure";
  for (const OperationResult& one : result->results) {
    if (std::holds_alternative<PutResult>(one)) text += ", put";
    if (const auto* deleted = std::get_if<DeleteResult>(&one))
      text += fmt::format(", {} deleted", deleted->deleted);
    if (const auto* range = std::get_if<RangeResult>(&one)) {
      text += ", range";
      for (const KeyValue& kv : range->kvs) text += fmt::format(" {}={}", kv.key, kv.value);
    }
  }
  return text;
}

TEST_F(StoreClient, ATransactionDoesWhatItsComparesSay) {
  PutOne("a", "1");
  const base::Revision twice = PutOne("a", "2");
  using enum Compare::Target;
  using enum Compare::Result;
  const struct {
    Compare compare;
    bool holds;
  } kCases[] = {
      {{.key = "a", .number = twice}, true},
      {{.key = "a", .number = twice - 1}, false},
      {{.key = "a", .result = kNotEqual, .number = twice - 1}, true},
      {{.key = "a", .target = kCreateRevision, .number = twice - 1}, true},
      {{.key = "a", .target = kCreateRevision, .result = kLess, .number = twice}, true},
      {{.key = "a", .target = kVersion, .number = 2}, true},
      {{.key = "a", .target = kVersion, .result = kGreater, .number = 2}, false},
      {{.key = "a", .target = kValue, .value = "2"}, true},
      {{.key = "a", .target = kValue, .result = kGreater, .value = "1"}, true},
      {{.key = "a", .target = kValue, .result = kLess, .value = "1"}, false},
      {{.key = "none", .number = 0}, true},
      {{.key = "none", .target = kVersion, .number = 1}, false},
      {{.key = "none", .target = kValue, .value = ""}, false},
  };
  for (const auto& c : kCases) {
    const auto result = client->Commit({.compares = {c.compare},
                                        .success = {RangeOptions{.key = "a"}},
                                        .failure = {RangeOptions{.key = "none"}}},
                                       Soon());
    EXPECT_EQ(Text(result), c.holds ? "success, range a=2" : "failure, range")
        << c.compare.key << static_cast<int>(c.compare.target)
        << static_cast<int>(c.compare.result);
  }
}

TEST_F(StoreClient, ATransactionDoesAllOfOneBranchInOrderAtOneRevision) {
  for (const char* key : {"a", "b", "c"}) PutOne(key, "1");
  const Txn txn{.compares = {{.key = "a", .target = Compare::Target::kVersion, .number = 1},
                             {.key = "d", .number = 0}},
                .success = {Put{"a", "2"}, Put{"d", "1"}, DeleteOptions{.key = "b", .end = "d"},
                            RangeOptions{.key = "a", .end = "z"}},
                .failure = {DeleteOptions{.key = "a", .end = "e"}, Put{"e", "1"}}};
  const auto first = client->Commit(txn, Soon());
  EXPECT_EQ(Text(first), "success, put, put, 2 deleted, range a=2 d=1");
  const auto range = client->Range({.key = "a", .end = "z"}, Soon());
  for (const KeyValue& kv : range->kvs) EXPECT_EQ(kv.mod_revision, first->revision);
  const auto second = client->Commit(txn, Soon());
  EXPECT_EQ(Text(second), "failure, 2 deleted, put");
  EXPECT_EQ(second->revision, first->revision + 1);
}

TEST_F(StoreClient, ADeleteSaysHowManyKeysWereThere) {
  for (const char* key : {"a", "b", "c"}) PutOne(key, "1");
  const auto one = client->Delete({.key = "a"}, Soon());
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->deleted, 1);
  EXPECT_EQ(client->Delete({.key = "a"}, Soon())->deleted, 0);
  const auto rest = client->Delete({.key = "a", .end = "z"}, Soon());
  EXPECT_EQ(rest->deleted, 2);
  EXPECT_EQ(rest->revision, one->revision + 1) << "what deletes nothing is no revision";
  EXPECT_EQ(client->Range({.key = "a", .end = "z"}, Soon())->count, 0);
}

TEST_F(StoreClient, AWatchGivesWholeRevisionsInOrderAndProgressOnRequest) {
  const base::Revision start = PutOne("a", "1");
  auto watch = client->OpenWatch({"a", "z", start});
  auto message = watch->Next();
  while (message.ok() && message->events.empty()) message = watch->Next();
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->events[0].value, "1");
  EXPECT_TRUE(message->events[0].created);
  EXPECT_EQ(message->revision, start);

  std::vector<Change> many;
  for (int i = 0; i < 100; ++i)
    many.push_back({"k" + std::to_string(i), std::string(1000, 'x'), 0});
  EXPECT_TRUE(Commit(many));
  message = watch->Next();
  EXPECT_EQ(message->events.size(), 100u) << "one revision, one message";

  const base::Revision elsewhere = PutOne("~", "not watched");
  watch->RequestProgress();
  do {
    message = watch->Next();
    ASSERT_TRUE(message.ok()) << message.status();
  } while (message->revision < elsewhere);
  EXPECT_EQ(message->revision, elsewhere);
}

TEST_F(StoreClient, ACompactedStartIsOutOfRangeAndACancelledWatchEnds) {
  for (int i = 0; i < 5; ++i) PutOne("a", std::to_string(i));
  ASSERT_TRUE(store->Compact({.revision = 4}).ok());
  auto watch = client->OpenWatch({"a", "z", 2});
  base::StatusOr<WatchMessage> message = watch->Next();
  while (message.ok()) message = watch->Next();
  EXPECT_EQ(message.status().code(), base::StatusCode::kOutOfRange) << message.status();

  auto endless = client->OpenWatch({"a", "z", 0});
  std::thread canceller([&] { endless->Cancel(); });
  while (endless->Next().ok()) {
  }
  canceller.join();
}

}  // namespace
}  // namespace strata::client
