// Against an etcd that misbehaves: other endpoints, tokens, fragments, refusals, silence.
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "lib/base/process.h"
#include "storage/client/channel.h"
#include "storage/client/client.h"
#include "storage/client/watch.h"
#include "test/support/cutting_proxy.h"
#include "test/support/fake_etcd.h"
#include "test/support/no_threads.h"
#include "test/support/waiting.h"

namespace strata::client {
namespace {

using base::StatusCode;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing_support::FakeEtcd;
using testing_support::In;

// Of tests in which an endpoint isn't to be left for the machine's sake.
constexpr milliseconds kLong(20'000);

class MisbehavingEtcd : public testing::Test {
 protected:
  std::unique_ptr<Client> Connect(Options options = {}) {
    if (options.endpoints.empty()) options.endpoints = {etcd.url()};
    return *Client::Create(options, obs::NullLogger(), metrics);
  }
  // The next message that isn't only the confirmation of the watch.
  static base::StatusOr<WatchMessage> NextNews(Watch& watch) {
    auto message = watch.Next();
    while (message.ok() && message->revision == 0) message = watch.Next();
    return message;
  }

  FakeEtcd etcd;
  obs::Metrics metrics;
};

TEST_F(MisbehavingEtcd, FailsOverAndStaysWithTheEndpointThatAnswers) {
  FakeEtcd other;
  other.Put("a", "other");
  auto client = Connect({.endpoints = {etcd.url(), other.url()}});
  EXPECT_TRUE(client->Range({.key = "a", .end = "b"}, In(milliseconds(5000)))->kvs.empty());
  etcd.Down();
  for (int i = 0; i < 3; ++i) {
    const auto found = client->Range({.key = "a", .end = "b"}, In(milliseconds(5000)));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->kvs.at(0).value, "other");
  }
  EXPECT_EQ(other.reads(), 3);
  etcd.Up();
  other.Down();
  // The first channel may still be in its back-off.
  base::StatusOr<RangeResult> back = base::UnavailableError("");
  ASSERT_TRUE(testing_support::Eventually([&] {
    back = client->Range({.key = "a", .end = "b"}, In(milliseconds(5000)));
    return back.ok();
  })) << back.status();
  EXPECT_TRUE(back->kvs.empty());
}

TEST_F(MisbehavingEtcd, AThreadThatTheSystemDeniesIsAnErrorOfWhoeverDials) {
  auto client = Connect();
  {
    const testing_support::NoThreads denied;
    EXPECT_EQ(base::Message(client->Range({.key = "a"}, In(milliseconds(5000))).status()),
              "etcd " + etcd.url() + ": connecting: the system denies a thread");
  }
  EXPECT_TRUE(client->Range({.key = "a"}, In(milliseconds(5000))).ok());
}

TEST_F(MisbehavingEtcd, AClientWhoseCallbacksAreDeniedTheirThreadsEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  etcd.Down();  // its own callbacks end
  const auto connect = [&]() noexcept {
    base::EndWhereTheSystemDenies();
    const testing_support::NoThreads denied;
    (void)Connect();
  };
  EXPECT_EXIT(connect(), testing::ExitedWithCode(1), "a thread is denied");
}

TEST_F(MisbehavingEtcd, DeadlinesHold) {
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  auto client = Connect();
  const auto start = steady_clock::now();
  EXPECT_EQ(client->Range({.key = "a"}, In(milliseconds(100))).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
  etcd.Behave([](auto& b) { b.hang_reads = false; });
  EXPECT_TRUE(client->Range({.key = "a"}, base::MonotonicTime::max()).ok())
      << "no deadline is one far away";
}

TEST_F(MisbehavingEtcd, CancellationEndsWhatHangsAndWhatComesLater) {
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  auto client = Connect();
  Cancellation cancellation;
  auto hanging = std::async(std::launch::async, [&] {
    return client->Range({.key = "a"}, In(milliseconds(60'000)), &cancellation).status().code();
  });
  while (etcd.reads() == 0) std::this_thread::yield();
  cancellation.Cancel();
  EXPECT_EQ(hanging.get(), StatusCode::kCancelled);
  etcd.Behave([](auto& b) { b.hang_reads = false; });
  EXPECT_EQ(client->Range({.key = "a"}, In(milliseconds(20'000)), &cancellation).status().code(),
            StatusCode::kCancelled);
  EXPECT_TRUE(client->Range({.key = "a"}, In(milliseconds(20'000))).ok());
}

TEST_F(MisbehavingEtcd, ATokenIsAskedForOnceAndAgainWhenItIsForgotten) {
  etcd.Behave([](auto& b) { b.user = "strata", b.password = "secret"; });
  auto client = Connect({.username = "strata", .password = "secret"});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client->Range({.key = "a"}, In(milliseconds(5000))).ok());
  EXPECT_EQ(etcd.authentications(), 1);
  etcd.ExpireTokens();
  EXPECT_TRUE(client->Range({.key = "a"}, In(milliseconds(5000))).ok());
  EXPECT_EQ(etcd.authentications(), 2);
  etcd.ExpireTokens();
  etcd.Put("a", "1");
  EXPECT_EQ(client->OpenWatch({"a", "z", 1})->Next().status().code(), StatusCode::kUnauthenticated);
  auto again = client->OpenWatch({"a", "z", 1});
  EXPECT_TRUE(NextNews(*again).ok()) << "a new token after the first refusal";

  const auto wrong = Connect({.username = "strata", .password = "guess"})
                         ->Range({.key = "a"}, In(milliseconds(5000)));
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("invalid user ID or password"));
  const auto none = Connect()->Range({.key = "a"}, In(milliseconds(5000)));
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("user name is empty"));
}

TEST_F(MisbehavingEtcd, AConnectionWhoseFirstAnswerIsAnErrorIsStillANewOne) {
  etcd.Behave([](auto& b) { b.fail_reads = 1; });
  auto client = Connect();
  EXPECT_FALSE(client->RangeDirectly({.key = "a"}, In(milliseconds(20'000))).ok());
  EXPECT_TRUE(client->RangeDirectly({.key = "a"}, In(milliseconds(20'000)))->dialled);
  EXPECT_FALSE(client->RangeDirectly({.key = "a"}, In(milliseconds(20'000)))->dialled);
}

TEST_F(MisbehavingEtcd, AUserIsNoHarmWhereAuthenticationIsOff) {
  EXPECT_TRUE(Connect({.username = "u", .password = "p"})
                  ->Range({.key = "a"}, In(milliseconds(5000)))
                  .ok());
}

TEST_F(MisbehavingEtcd, FragmentsAreJoinedToWholeRevisions) {
  FakeEtcd::Changes many;
  for (int i = 0; i < 5000; ++i) many.emplace_back("k" + std::to_string(i), "v");
  const auto at = etcd.Commit(many);
  etcd.Put("k1", "again");
  etcd.Behave([](auto& b) { b.events_per_fragment = 7, b.revisions_per_response = 1; });
  auto client = Connect();
  auto watch = client->OpenWatch({"k", "l", at});
  const auto first = NextNews(*watch);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->events.size(), 5000u);
  EXPECT_EQ(first->revision, at);
  const auto second = NextNews(*watch);
  ASSERT_EQ(second->events.size(), 1u);
  EXPECT_FALSE(second->events[0].created);
}

TEST_F(MisbehavingEtcd, WholeRevisionsDoNotWaitForTheFragmentsOfOthers) {
  FakeEtcd::Changes ten;
  for (int i = 0; i < 10; ++i) ten.emplace_back("k" + std::to_string(i), "v");
  const auto first = etcd.Commit(ten);
  for (int i = 1; i < 30; ++i) etcd.Commit(ten);
  etcd.Behave([](auto& b) { b.events_per_fragment = 7; });
  // Less than all of them, and more than two.
  auto client = Connect({.max_revision_bytes = 2500});
  auto watch = client->OpenWatch({"k", "l", first});
  for (auto next = first; next < first + 30;) {
    const auto message = NextNews(*watch);
    ASSERT_TRUE(message.ok()) << message.status();
    ASSERT_EQ(message->events.size() % 10, 0u);
    for (size_t i = 0; i < message->events.size(); ++i)
      ASSERT_EQ(message->events[i].revision, next + static_cast<base::Revision>(i / 10));
    next += static_cast<base::Revision>(message->events.size() / 10);
    EXPECT_EQ(message->revision, next - 1);
  }
}

TEST_F(MisbehavingEtcd, ARevisionOfTooManyEventsEndsItsWatchHoweverSmallTheyAre) {
  FakeEtcd::Changes many;
  for (int i = 0; i < 1000; ++i) many.emplace_back("k" + std::to_string(i), "");
  const auto at = etcd.Commit(many);
  etcd.Behave([](auto& b) { b.events_per_fragment = 10; });
  auto client = Connect({.max_revision_bytes = 50'000});
  EXPECT_EQ(base::Message(NextNews(*client->OpenWatch({"k", "l", at})).status()),
            "etcd " + etcd.url() + ": a revision of more than 50000 bytes of events");
}

TEST_F(MisbehavingEtcd, AMessageOfMoreThanAnyEtcdSendsEndsItsWatch) {
  const auto at = etcd.Put("a", std::string(size_t{65} << 20, 'x'));
  auto client = Connect();
  EXPECT_EQ(NextNews(*client->OpenWatch({"a", "b", at})).status().code(),
            StatusCode::kResourceExhausted);
}

TEST_F(MisbehavingEtcd, AStreamThatEndsBetweenFragmentsGivesNothingOfThem) {
  FakeEtcd::Changes many;
  for (int i = 0; i < 100; ++i) many.emplace_back("k" + std::to_string(i), "v");
  const auto at = etcd.Commit(many);
  etcd.Behave([](auto& b) { b.events_per_fragment = 10, b.cut_after = 5; });
  auto client = Connect();
  auto watch = client->OpenWatch({"k", "l", at});
  EXPECT_EQ(NextNews(*watch).status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(watch->Next().ok()) << "an end is for good";
}

TEST_F(MisbehavingEtcd, RefusalAndCompactionAreToldApart) {
  for (int i = 0; i < 5; ++i) etcd.Put("a", "x");
  etcd.Compact(4);
  auto client = Connect();
  EXPECT_EQ(NextNews(*client->OpenWatch({"a", "z", 2})).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(client->Range({.key = "a", .revision = 2}, In(milliseconds(5000))).status().code(),
            StatusCode::kOutOfRange);
  etcd.Behave([](auto& b) { b.refuse_watches = true; });
  const auto refused = NextNews(*client->OpenWatch({"a", "z", 5}));
  EXPECT_EQ(refused.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("permission denied"));
}

TEST_F(MisbehavingEtcd, AnEventOfAnUnknownTypeIsNoDeletion) {
  etcd.Behave([](auto& b) { b.unknown_events = true; });
  const auto at = etcd.Put("a", "x");
  const auto news = NextNews(*Connect()->OpenWatch({"a", "z", at}));
  EXPECT_EQ(news.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(news.status().message()), HasSubstr("unknown type 2"));
}

TEST_F(MisbehavingEtcd, AMessageThatDoesNotParseEndsItsWatchThoughTheServerGoesOn) {
  etcd.Behave([](auto& b) { b.garbled_events = true; });
  const auto at = etcd.Put("a", "x");
  const auto news = NextNews(*Connect()->OpenWatch({"a", "z", at}));
  EXPECT_EQ(news.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(news.status().message()), HasSubstr("none of etcd's"));
}

TEST_F(MisbehavingEtcd, KinesEmptyHeaderIsNoNews) {
  etcd.Behave([](auto& b) { b.kine = true; });
  etcd.Put("f/a", "x");
  auto client = Connect();
  auto watch = client->OpenWatch({"f/", "f0", etcd.revision()});
  const auto created = watch->Next();
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->revision, 0);
  EXPECT_EQ(NextNews(*watch)->revision, etcd.revision());
}

// A stream before there is a watch on it, and beside it another to the next endpoint.
TEST_F(MisbehavingEtcd, AStreamIsAskedForItsWatchLater) {
  FakeEtcd other;
  auto client = Connect({.endpoints = {etcd.url(), other.url()}, .dial_patience = kLong});
  auto stream = client->OpenStream("a.");
  EXPECT_EQ(stream->AwaitOpen(In(milliseconds(5000))).value(), 0xc1u);
  EXPECT_EQ(stream->Version(In(milliseconds(5000))).value(), "3.6.5");
  auto beside = client->OpenStreamBeside(*stream, "a.", 0);
  ASSERT_TRUE(beside->AwaitOpen(In(milliseconds(5000))).ok());
  EXPECT_EQ(etcd.open_watches(), 1);
  EXPECT_EQ(other.open_watches(), 1);
  const auto at = etcd.Put("a", "x");
  etcd.Put("b", "x");
  stream->RequestProgress();  // of no watch, there is none
  stream->Ask({"a", "b", at});
  const auto news = NextNews(*stream);
  ASSERT_TRUE(news.ok()) << news.status();
  ASSERT_EQ(news->events.size(), 1u);
  EXPECT_EQ(news->events[0].revision, at);
}

TEST_F(MisbehavingEtcd, AWatchThatIsNotAnsweredIsOverAtItsDeadlineAndTheNextEndpointIsAsked) {
  FakeEtcd other;
  auto client = Connect({.endpoints = {etcd.url(), other.url()}, .dial_patience = kLong});
  const auto unanswered = "etcd " + etcd.url() + ": a watch isn't answered";
  auto stream = client->OpenStream("a.");
  ASSERT_TRUE(stream->AwaitOpen(In(milliseconds(5000))).ok());
  etcd.Behave([](auto& b) { b.mute_watches = true; });
  EXPECT_EQ(base::Message(stream->Begin({"a", "b", 1}, In(milliseconds(50))).status()), unanswered);
  other.Behave([](auto& b) { b.mute_watches = true; });
  EXPECT_EQ(base::Message(client->OpenStream("a.")->AwaitOpen(In(milliseconds(50))).status()),
            "etcd " + other.url() + ": a watch isn't answered");
  EXPECT_EQ(base::Message(client->OpenStream("a.")->AwaitOpen(In(milliseconds(50))).status()),
            unanswered);
}

// Its greeting is of five bytes, and the watch's creation of more.
TEST_F(MisbehavingEtcd, AnEndpointThatTakesNoWatchIsOverAtTheDeadlineAndTheNextOneIsAsked) {
  FakeEtcd other;
  testing_support::CuttingProxy proxy(etcd.url());
  proxy.Grant({.bytes = 5});
  auto client = Connect({.endpoints = {proxy.url(), other.url()}, .dial_patience = kLong});
  auto stream = client->OpenStream("a.");
  auto opened = std::async(std::launch::async,
                           [&] { return stream->AwaitOpen(In(milliseconds(50))).status(); });
  EXPECT_EQ(opened.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  stream->Cancel();
  EXPECT_EQ(base::Message(opened.get()), "etcd " + proxy.url() + ": a watch isn't answered");
  EXPECT_TRUE(client->OpenStream("a.")->AwaitOpen(In(milliseconds(20'000))).ok());
}

// The only one that it takes at a time is in use.
TEST_F(MisbehavingEtcd, AStreamThatCannotBeginIsOverAtItsDeadline) {
  testing_support::CuttingProxy proxy(etcd.url());
  proxy.Grant({.streams = 1});
  auto client = Connect({.endpoints = {proxy.url()}});
  auto one = client->OpenStream("a.");
  ASSERT_TRUE(one->AwaitOpen(In(milliseconds(20'000))).ok());
  auto stream = client->OpenStream("a.");
  auto opened = std::async(std::launch::async,
                           [&] { return stream->AwaitOpen(In(milliseconds(50))).status(); });
  EXPECT_EQ(opened.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  stream->Cancel();
  EXPECT_EQ(base::Message(opened.get()), "etcd " + proxy.url() + ": a watch isn't answered");
}

// The stream's window is for its probe alone.
TEST_F(MisbehavingEtcd, AStreamThatTakesNothingHoldsUpNobodyWhoAsks) {
  testing_support::CuttingProxy proxy(etcd.url());
  proxy.Grant({.bytes = 16});
  auto client = Connect({.endpoints = {proxy.url()}});
  auto stream = client->OpenStream("a.");
  ASSERT_TRUE(stream->AwaitOpen(In(milliseconds(20'000))).ok());
  auto asked = std::async(std::launch::async, [&] {
    auto begun = stream->Begin({"a", "b", 1}, In(milliseconds(50))).status();
    for (int i = 0; i < 1000; ++i) stream->RequestProgress();
    EXPECT_FALSE(stream->Ping(In(milliseconds(20'000)))) << "at once: the stream is over";
    return begun;
  });
  EXPECT_EQ(asked.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  stream->Cancel();
  EXPECT_EQ(base::Message(asked.get()), "etcd " + proxy.url() + ": a watch isn't answered");

  auto silent = client->OpenStream("a.");
  ASSERT_TRUE(silent->AwaitOpen(In(milliseconds(20'000))).ok());
  auto poked = std::async(std::launch::async, [&] {
    silent->Ask({"a", "b", 1});
    for (int i = 0; i < 1000; ++i) silent->RequestProgress();
    const uint64_t sign = silent->Poke();
    EXPECT_EQ(silent->Poke(), sign) << "it isn't written yet";
    return silent->AwaitSign(sign, In(milliseconds(50)));
  });
  EXPECT_EQ(poked.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  silent->Cancel();
  EXPECT_FALSE(poked.get());
}

TEST_F(MisbehavingEtcd, AStreamTellsWhetherItsProcessStillLives) {
  FakeEtcd::Changes many;
  for (int i = 0; i < 1000; ++i) many.emplace_back("k" + std::to_string(i), "v");
  const auto at = etcd.Commit(many);
  etcd.Behave([](auto& b) { b.events_per_fragment = 10; });
  testing_support::CuttingProxy proxy(etcd.url());
  auto client = Connect({.endpoints = {proxy.url()}});
  auto watch = client->OpenWatch({"k", "l", at});
  ASSERT_TRUE(watch->Next().ok());
  std::vector<size_t> events;
  std::thread listener([&] {
    for (auto message = watch->Next(); message.ok(); message = watch->Next())
      events.push_back(message->events.size());
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(watch->Ping(In(milliseconds(20'000))));
  proxy.Freeze(true);
  EXPECT_FALSE(watch->Ping(In(milliseconds(100))));
  proxy.Freeze(false);
  EXPECT_TRUE(watch->Ping(In(milliseconds(20'000))));
  proxy.CutAfter(0, 0);
  EXPECT_FALSE(watch->Ping(In(milliseconds(20'000)))) << "at once, and not after that time";
  listener.join();
  EXPECT_EQ(std::count(events.begin(), events.end(), 1000u), 1) << "signs of life divide nothing";
}

TEST_F(MisbehavingEtcd, ACallThatWasEndedBeforeItBeganIsForgotten) {
  CallEnd end;
  end.Set();
  auto context = std::make_unique<grpc::ClientContext>();
  EXPECT_FALSE(end.Run(*context, [] { return grpc::Status::OK; }).ok());
  context.reset();
  end.Set();  // as Stop and then a destructor do
}

TEST_F(MisbehavingEtcd, ARequestForProgressNeverBlocksOnAWatchThatIsOver) {
  auto client = Connect();
  auto watch = client->OpenWatch({"a", "z", 1});
  etcd.Down();
  for (int i = 0; i < 100; ++i) watch->RequestProgress();
  while (watch->Next().ok()) {
  }
  watch->RequestProgress();
  watch->Cancel();
  watch->RequestProgress();
}

// Of what is the stream's and of what is a watch's etcd sends either first (v3rpc watch.go
// sendLoop), and holds back the events alone until their watch is confirmed.
class HastyEtcd final : public etcdserverpb::Watch::Service {
 public:
  grpc::Status Watch(grpc::ServerContext*,
                     grpc::ServerReaderWriter<etcdserverpb::WatchResponse,
                                              etcdserverpb::WatchRequest>* stream) override {
    etcdserverpb::WatchRequest asked;
    stream->Read(&asked);
    etcdserverpb::WatchResponse progress, created, event;
    for (auto* response : {&progress, &created, &event})
      response->mutable_header()->set_revision(7);
    progress.set_watch_id(-1);
    created.set_created(true);
    event.add_events()->mutable_kv()->set_mod_revision(7);
    for (const auto* response : {&progress, &created, &event}) stream->Write(*response);
    return grpc::Status::OK;
  }
};

TEST(WatchClient, ProgressThatComesBeforeTheWatchIsConfirmedIsNone) {
  HastyEtcd etcd;
  grpc::ServerBuilder builder;
  builder.RegisterService(&etcd);
  const auto server = builder.BuildAndStart();
  obs::Metrics metrics;
  auto client = Client::OverChannel(server->InProcessChannel({}), metrics);
  auto watch = client->OpenWatch({"a", "z", 7});
  const auto confirmed = watch->Next();
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_EQ(confirmed->revision, 0);
  const auto news = watch->Next();
  ASSERT_TRUE(news.ok()) << news.status();
  EXPECT_EQ(news->events.size(), 1u);
}

}  // namespace
}  // namespace strata::client
