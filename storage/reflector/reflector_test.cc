// Against the embedded store: what the consumer holds equals the store, whatever happens between.
#include "storage/reflector/reflector.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <map>

#include "storage/engine/store.h"
#include "storage/reflector/progress.h"
#include "storage/rpc/server.h"
#include "test/support/waiting.h"

namespace strata::reflector {
namespace {

using base::Revision;

// Keeps names and revisions, and checks that history comes in order.
class Mirror : public Consumer {
 public:
  void BeginList() override { aside.clear(); }
  void ListPage(const std::vector<records::Change>& page) override {
    absl::MutexLock lock(&mu);
    for (const auto& change : page) EXPECT_TRUE(aside.emplace(change.id.name, change).second);
  }
  void EndList(Revision revision) override {
    absl::MutexLock lock(&mu);
    held = std::move(aside);
    at = revision;
    lost = false;
    ++lists;
  }
  void AbortList() override { aside.clear(); }
  void Apply(const std::vector<Batch>& batches, Revision revision) override {
    absl::MutexLock lock(&mu);
    for (const Batch& batch : batches) {
      EXPECT_GT(batch.revision, at) << "no revision twice, none out of order";
      at = batch.revision;
      for (const auto& change : batch.changes) {
        EXPECT_EQ(change.revision, batch.revision);
        if (change.state == records::Change::State::kDeleted) {
          held.erase(change.id.name);
        } else {
          held[change.id.name] = change;
        }
      }
      largest_batch = std::max(largest_batch, batch.changes.size());
    }
    EXPECT_GE(revision, at);
    at = revision;
  }

  bool needs_list() override {
    absl::MutexLock lock(&mu);
    return lost;
  }

  void Lose() {
    absl::MutexLock lock(&mu);
    held.clear();
    lost = true;
  }
  int Lists() {
    absl::MutexLock lock(&mu);
    return lists;
  }
  std::map<std::string, Revision> Held() {
    absl::MutexLock lock(&mu);
    std::map<std::string, Revision> out;
    for (const auto& [name, change] : held) out[name] = change.revision;
    return out;
  }

  absl::Mutex mu;
  std::map<std::string, records::Change> held, aside;
  Revision at = 0;
  int lists = 0;
  bool lost = false;  // until the next list
  size_t largest_batch = 0;
};

class ReflectorOnStore : public testing::Test {
 protected:
  ReflectorOnStore() { Open(""); }
  ~ReflectorOnStore() override {
    reflector.reset();
    client.reset();
    server->Shutdown(absl::Seconds(1));
    server.reset();
    store.reset();
    for (const std::string& directory : directories) std::filesystem::remove_all(directory);
  }

  // A store in a directory of its own, on the port of the one before it.
  void Open(const std::string& copy_of) {
    directories.push_back(
        (std::filesystem::temp_directory_path() / ("strata-reflector-" + std::to_string(getpid()) +
                                                   "-" + std::to_string(directories.size())))
            .string());
    if (!copy_of.empty()) {
      std::filesystem::copy(copy_of, directories.back());
      std::filesystem::permissions(directories.back(), std::filesystem::perms::owner_all);
    }
    store = *engine::Store::Open(directories.back(), {}, clock, obs::NullLogger(), metrics);
    Listen();
  }
  void Listen() {
    server = std::make_unique<rpc::Server>(*store, rpc::Options{.listen_urls = {url}},
                                           obs::NullLogger(), metrics);
    const base::Status started = server->Start();
    ASSERT_TRUE(started.ok()) << started;
    url = server->urls()[0];
  }
  void Close() {
    server->Shutdown(absl::ZeroDuration());
    server.reset();
  }

  void Start(Reflector::Options options = {}) {
    client = *client::Client::Create({.endpoints = {url}}, obs::NullLogger(), metrics);
    options.backoff = {.first = std::chrono::milliseconds(10),
                       .most = std::chrono::milliseconds(50)};
    reflector = std::make_unique<Reflector>(*client, records::Keys("openshift.io"), mirror, options,
                                            clock, obs::NullLogger(), metrics);
    reflector->Start();
  }

  void Put(const std::string& name, const std::string& value = "x") {
    ASSERT_TRUE(store->Put({.key = "/openshift.io/images/" + name, .value = value}).ok());
  }

  void ExpectFresh() {
    base::StatusOr<Revision> at = base::UnavailableError("not asked");
    const auto until = clock.Now() + std::chrono::seconds(20);
    while (!at.ok() && clock.Now() < until) {
      auto promise = std::make_shared<std::promise<base::StatusOr<Revision>>>();
      reflector->barrier().WaitFresh(
          until, [promise](base::StatusOr<Revision> r) { promise->set_value(std::move(r)); });
      at = promise->get_future().get();
      if (!at.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_TRUE(at.ok()) << at.status();
  }
  // What a reader gets: the barrier passes, and then the mirror equals the store.
  void ExpectEqualWhenFresh() {
    ExpectFresh();
    EXPECT_EQ(mirror.Held(), Stored());
  }

  std::map<std::string, Revision> Stored() {
    std::map<std::string, Revision> out;
    auto own = client::Client::OverChannel(server->InProcessChannel(), metrics);
    const auto all =
        own->Range({.key = "/openshift.io/images/", .end = "/openshift.io/imagestreams0"},
                   clock.Now() + std::chrono::seconds(10));
    for (const auto& kv : all->kvs) {
      if (const auto id = records::Keys("openshift.io").Parse(kv.key))
        out[id->name] = kv.mod_revision;
    }
    return out;
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  std::vector<std::string> directories;
  std::string url = "http://127.0.0.1:0";
  std::unique_ptr<engine::Store> store;
  std::unique_ptr<rpc::Server> server;
  Mirror mirror;
  std::unique_ptr<client::Client> client;
  std::unique_ptr<Reflector> reflector;
};

TEST_F(ReflectorOnStore, ListsInPagesAndThenFollows) {
  for (int i = 0; i < 25; ++i) Put("i" + std::to_string(i));
  Start({.list = {.page_size = 4}});
  ExpectEqualWhenFresh();
  Put("new");
  ASSERT_TRUE(store->Delete({.key = "/openshift.io/images/i3"}).ok());
  ASSERT_TRUE(store->Put({.key = "/elsewhere", .value = "moves the revision alone"}).ok());
  ExpectEqualWhenFresh();
  EXPECT_EQ(mirror.lists, 1);
}

TEST_F(ReflectorOnStore, ListsAnewForAConsumerThatLostWhatItHeldThoughNothingIsWritten) {
  Put("a");
  Start({.barrier = {.probe_interval = std::chrono::milliseconds(10)}});
  ExpectEqualWhenFresh();
  for (const bool asked : {true, false}) {
    SCOPED_TRACE(asked ? "while somebody asks all the time" : "while nobody asks");
    const int before = mirror.Lists();
    mirror.Lose();
    testing_support::Eventually([&] {
      if (asked) ExpectFresh();
      return mirror.Lists() != before;
    });
    EXPECT_EQ(mirror.Lists(), before + 1);
    ExpectEqualWhenFresh();
  }
}

TEST_F(ReflectorOnStore, AStoreThatWasAwayIsListedAnewWithoutAGap) {
  Put("a");
  Start();
  ExpectEqualWhenFresh();
  for (int round = 0; round < 5; ++round) {
    Close();
    Put("while-away-" + std::to_string(round));
    Put("a", "y");
    Listen();
    ExpectEqualWhenFresh();
  }
  EXPECT_EQ(mirror.lists, 6);
}

TEST_F(ReflectorOnStore, ACompactionUnderTheWatchIsAnsweredByAList) {
  Put("a");
  Put("b");
  Start();
  ExpectEqualWhenFresh();
  Close();
  ASSERT_TRUE(store->Delete({.key = "/openshift.io/images/a"}).ok());
  Put("c");
  ASSERT_TRUE(store->Compact({.revision = store->revision()}).ok());
  Listen();
  ExpectEqualWhenFresh();
  EXPECT_EQ(mirror.lists, 2);
}

TEST_F(ReflectorOnStore, ABackendThatWasPutBackIsListedAnew) {
  Put("kept");
  Close();
  store.reset();
  const std::string snapshot = directories.back() + "-snapshot";
  std::filesystem::copy(directories.back(), snapshot);
  directories.push_back(snapshot);
  store = *engine::Store::Open(directories[0], {}, clock, obs::NullLogger(), metrics);
  Listen();
  for (int i = 0; i < 10; ++i) Put("lost-" + std::to_string(i));
  Start();
  ExpectEqualWhenFresh();
  Close();
  store.reset();
  Open(snapshot);
  ExpectEqualWhenFresh();
  EXPECT_EQ(mirror.Held().size(), 1u);
  EXPECT_EQ(mirror.lists, 2);
}

TEST_F(ReflectorOnStore, ThousandsOfKeysOfOneRevisionArriveTogether) {
  Start();
  ExpectEqualWhenFresh();
  engine::TxnRequest txn;
  for (int i = 0; i < 100; ++i) {
    txn.success.push_back({engine::PutRequest{.key = "/openshift.io/images/i" + std::to_string(i),
                                              .value = std::string(40'000, 'x')}});
  }
  ASSERT_TRUE(store->Txn(txn).ok());
  ExpectEqualWhenFresh();
  EXPECT_EQ(mirror.largest_batch, 100u);
}

TEST(Versions, KnownToSendWrongProgress) {
  for (const char* wrong : {"3.3.25", "3.4.23", "3.4.30", "3.5.0", "3.5.12", "2.3.8"}) {
    EXPECT_TRUE(ProgressIsKnownWrong(wrong)) << wrong;
  }
  for (const char* right :
       {"3.4.31", "3.4.40", "3.5.13", "3.5.21", "3.6.0", "3.6.5", "4.0.0", "", "kine"}) {
    EXPECT_FALSE(ProgressIsKnownWrong(right)) << right;
  }
}

TEST(Versions, OfAnEtcdItHasToBeKnownThatItsProgressIsRight) {
  constexpr uint64_t kNone = 0, kSome = 1;
  for (const uint64_t cluster_id : {kNone, kSome}) {
    EXPECT_TRUE(ProgressCanBeTrusted("3.6.5", cluster_id));
    EXPECT_FALSE(ProgressCanBeTrusted("3.4.23", cluster_id));
  }
  for (const char* unknown : {"", "kine", "3", "3.6"}) {
    EXPECT_TRUE(ProgressCanBeTrusted(unknown, kNone)) << unknown;
    EXPECT_FALSE(ProgressCanBeTrusted(unknown, kSome)) << unknown;
  }
}

}  // namespace
}  // namespace strata::reflector
