// Against an etcd that misbehaves. Whatever happens, three things hold: what the consumer has is
// always the backend's state at the revision that it is told; a request that passed the barrier
// sees what was committed before it came; and in the end both are equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "storage/reflector/progress.h"
#include "storage/reflector/reflector.h"
#include "test/support/cutting_proxy.h"
#include "test/support/fake_etcd.h"
#include "test/support/random.h"

namespace strata::reflector {
namespace {

using base::Revision;
using base::StatusCode;
using std::chrono::milliseconds;
using testing_support::FakeEtcd;
using testing_support::Random;

// Holds keys and revisions, and compares them with the backend's history at each step.
class Judge : public Consumer {
 public:
  explicit Judge(const FakeEtcd& etcd) : etcd_(etcd) {}

  void BeginList() override {
    aside_.clear();
    aside_objects_.clear();
  }
  void ListPage(const std::vector<records::Change>& page) override {
    absl::MutexLock lock(&aside_mu_);
    largest_page = std::max(largest_page.load(), page.size());
    for (const auto& change : page) {
      if (!aside_.emplace(keys_.KeyOf(change.id), change.revision).second) ++wrong;  // twice
      aside_objects_[keys_.KeyOf(change.id)] = change.object;
    }
  }
  void EndList(Revision revision) override {
    held_ = std::move(aside_);
    at_ = revision;
    {
      absl::MutexLock lock(&objects_mu_);
      objects_ = std::move(aside_objects_);
    }
    ++lists;
    Check();
  }
  void AbortList() override {
    ++aborts;
    aside_.clear();
  }
  void Apply(const std::vector<Batch>& batches, Revision revision) override {
    Revision last = at_;
    for (const Batch& batch : batches) {
      if (batch.revision <= last) ++wrong;  // twice, or out of order
      last = batch.revision;
      for (const auto& change : batch.changes) {
        if (change.revision != batch.revision) ++wrong;
        absl::MutexLock lock(&objects_mu_);
        if (change.state == records::Change::State::kDeleted) {
          held_.erase(keys_.KeyOf(change.id));
          objects_.erase(keys_.KeyOf(change.id));
        } else {
          held_[keys_.KeyOf(change.id)] = change.revision;
          objects_[keys_.KeyOf(change.id)] = change.object;
        }
      }
      largest_batch = std::max(largest_batch.load(), batch.changes.size());
    }
    if (revision < last || revision < at_) ++wrong;
    at_ = revision;
    Check();
  }

  // What records say, by their keys.
  std::map<std::string, std::string> Objects() {
    absl::MutexLock lock(&objects_mu_);
    return objects_;
  }

  std::atomic<int> lists = 0, aborts = 0, wrong = 0;
  std::atomic<size_t> largest_batch = 0, largest_page = 0;

 private:
  void Check() {
    if (!etcd_.WasEver(at_, keys_.begin(), keys_.end(), held_)) ++wrong;
  }

  const FakeEtcd& etcd_;
  const records::Keys keys_{"openshift.io"};
  absl::Mutex aside_mu_;  // pages come from several threads
  // The reflector's thread alone, but for aside_ in ListPage.
  std::map<std::string, Revision> held_, aside_;
  std::map<std::string, std::string> aside_objects_;
  absl::Mutex objects_mu_;
  std::map<std::string, std::string> objects_ ABSL_GUARDED_BY(objects_mu_);
  Revision at_ = 0;
};

std::string Image(const std::string& name) {
  return "/openshift.io/images/" + name;
}

// Who asks waits for a list, however slow the machine is.
Reflector::Options Patient() {
  return {
      .barrier = {.read_timeout = std::chrono::seconds(20), .patience = std::chrono::seconds(20)}};
}

// An etcd, a reflector that follows it, and who judges what it hears.
struct Followed {
  ~Followed() {
    if (reflector != nullptr) reflector->Stop();
    EXPECT_EQ(judge.wrong, tolerated)
        << "the index was wrong for its revision, or went out of order";
  }

  void Start(Reflector::Options options = Patient(), client::Options way = {}) {
    if (way.endpoints.empty()) way.endpoints = {etcd.url()};
    client = *client::Client::Create(way, obs::NullLogger(), metrics);
    options.backoff = {.first = milliseconds(2), .most = milliseconds(20)};
    reflector = std::make_unique<Reflector>(*client, records::Keys("openshift.io"), judge, options,
                                            clock, obs::NullLogger(), metrics);
    reflector->Start();
    AwaitSync();
  }
  void AwaitSync() {
    for (const auto until = clock.Now() + std::chrono::seconds(20);
         !reflector->synced() && clock.Now() < until;) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    ASSERT_TRUE(reflector->synced());
  }
  void AwaitStandby() {
    for (const auto until = clock.Now() + std::chrono::seconds(20);
         !reflector->has_standby() && clock.Now() < until;) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    ASSERT_TRUE(reflector->has_standby());
  }
  std::future<base::StatusOr<Revision>> Ask(milliseconds timeout = std::chrono::seconds(20)) {
    auto promise = std::make_shared<std::promise<base::StatusOr<Revision>>>();
    reflector->barrier().WaitFresh(clock.Now() + timeout, [promise](base::StatusOr<Revision> r) {
      promise->set_value(std::move(r));
    });
    return promise->get_future();
  }
  void ExpectFresh() {
    const Revision committed = etcd.revision();
    const auto at = Ask().get();
    ASSERT_TRUE(at.ok()) << at.status();
    EXPECT_GE(*at, committed);
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  FakeEtcd etcd;
  Judge judge{etcd};
  int tolerated = 0;
  std::unique_ptr<client::Client> client;
  std::unique_ptr<Reflector> reflector;
};

class FaultyEtcd : public testing::Test, protected Followed {};

TEST_F(FaultyEtcd, AStreamThatIsCutAfterEachResponseStillGivesEverythingOnce) {
  etcd.Put(Image("a"), "x");
  Start();
  for (int responses = 1; responses <= 6; ++responses) {
    etcd.Behave([&](auto& b) {
      b.cut_after = responses, b.events_per_fragment = 2, b.revisions_per_response = 1;
    });
    etcd.CutStreams();
    FakeEtcd::Changes three;
    for (int i = 0; i < 3; ++i)
      three.emplace_back(Image("of-" + std::to_string(responses) + std::to_string(i)), "x");
    etcd.Commit(three);
    etcd.Put(Image("a"), std::to_string(responses));
    etcd.Delete(Image("of-" + std::to_string(responses) + "0"));
    // A stream that ends as soon as the list is complete leaves nobody time to read.
    if (responses > 2) ExpectFresh();
  }
}

// A connection that is broken after one byte more each time.
struct Cut : Followed {
  Cut() : proxy(etcd.url()) {
    etcd.Put(Image("a"), "x");
    Start(Patient(), {.endpoints = {proxy.url()}});
  }
  // What happens on a connection: one revision of two keys, one of one, a deletion; then a read.
  void ChangeAndAwait(int64_t round) {
    const std::string of_round = Image("of-" + std::to_string(round));
    etcd.Commit({{of_round, "x"}, {Image("a"), std::to_string(round)}});
    etcd.Put(Image("b"), std::to_string(round));
    etcd.Delete(of_round);
    const Revision committed = etcd.revision();
    // A read that is cut is an error to who asked; the next one is answered.
    for (const auto until = clock.Now() + std::chrono::seconds(20); clock.Now() < until;) {
      const auto at = Ask().get();
      if (!at.ok()) continue;
      EXPECT_GE(*at, committed);
      return;
    }
    ADD_FAILURE() << "never fresh again";
  }
  testing_support::CuttingProxy proxy;
};

// Whichever byte of a connection is the last: in the settings, in the watch's creation, in a list,
// between and within events, in the answer to the barrier's read. What was cut comes again, once.
// The barrier's own connection comes first, when something is asked for; the watch's follows.
class FaultyNetwork : public testing::TestWithParam<int> {};

TEST_P(FaultyNetwork, AConnectionThatIsCutAtAnyByteLosesNothing) {
  const int others = GetParam();
  // Now and then the watch's comes first. It brings more, so the least of several is the other's,
  // and most are its own. One that brings hardly anything was to stand by for a watch that is
  // over.
  std::vector<int64_t> measured;
  for (int i = 0; i < 50 && measured.size() < 6; ++i) {
    Cut one;
    one.proxy.CutAfter(0, others);
    one.ChangeAndAwait(0);
    if (one.proxy.passed() > 100) measured.push_back(one.proxy.passed());
  }
  ASSERT_FALSE(measured.empty());
  std::sort(measured.begin(), measured.end());
  const int64_t whole = others == 0 ? measured.front() : measured[measured.size() / 2];
  // gRPC waits a tenth of a second before it connects anew: many wait beside each other.
  constexpr int kAtOnce = 16;
  std::atomic<int> missed = 0;
  std::vector<std::thread> threads;
  for (int first = 1; first <= kAtOnce; ++first) {
    threads.emplace_back([&, first] {
      Cut one;
      int64_t round = 0;
      for (int64_t bytes = first; bytes <= whole && !testing::Test::HasFailure();
           bytes += kAtOnce) {
        // Sometimes all is fresh before so many bytes have come.
        const int before = one.proxy.cut();
        for (int attempt = 0; attempt < 20 && one.proxy.cut() == before; ++attempt) {
          one.proxy.CutAfter(bytes, others);
          one.ChangeAndAwait(++round);
        }
        if (one.proxy.cut() == before && bytes < whole * 3 / 4) ++missed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(missed, 0) << "of " << whole << " bytes; connections differ in their last ones";
}

INSTANTIATE_TEST_SUITE_P(Connections, FaultyNetwork, testing::Values(0, 1));

TEST_F(FaultyEtcd, ThousandsOfKeysOfOneRevisionArriveTogether) {
  etcd.Behave([](auto& b) { b.events_per_fragment = 50; });
  Start();
  FakeEtcd::Changes many;
  for (int i = 0; i < 4000; ++i) many.emplace_back(Image("i" + std::to_string(i)), "x");
  etcd.Commit(many);
  ExpectFresh();
  EXPECT_EQ(judge.largest_batch, 4000u);
}

// Either of the two connections may fail alone.
TEST_F(FaultyEtcd, IsUnhealthyWhileReadsFailThoughTheWatchIsOpenAndNobodyAsks) {
  Start({.barrier = {.probe_interval = milliseconds(5), .failure_interval = milliseconds(5)}});
  const auto becomes = [this](bool well) {
    const auto until = clock.Now() + std::chrono::seconds(20);
    while (reflector->connection().ok() != well && clock.Now() < until)
      std::this_thread::sleep_for(milliseconds(1));
    return reflector->connection().ok() == well;
  };
  EXPECT_TRUE(becomes(true));
  etcd.Behave([](auto& b) { b.fail_reads = 1'000'000'000; });
  EXPECT_TRUE(becomes(false));
  EXPECT_GE(etcd.open_watches(), 1);
  etcd.Behave([](auto& b) { b.fail_reads = 0; });
  EXPECT_TRUE(becomes(true));
}

TEST_F(FaultyEtcd, OtherRecordsMoveTheRevisionWithoutAnEvent) {
  Start();
  for (int i = 0; i < 20; ++i) {
    etcd.Put("/kubernetes.io/leases/x", std::to_string(i));
    ExpectFresh();
  }
  EXPECT_GT(etcd.progress_requests(), 0);
}

TEST_F(FaultyEtcd, AWatchWithoutProgressIsFreshOnlyByEvents) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kNever; });
  Start();
  etcd.Put(Image("a"), "x");
  ExpectFresh();
  etcd.Put("/elsewhere", "x");
  EXPECT_EQ(Ask(milliseconds(100)).get().status().code(), StatusCode::kDeadlineExceeded);
  etcd.Put(Image("a"), "y");
  ExpectFresh();
}

TEST_F(FaultyEtcd, ACompactionUnderTheWatchIsAnsweredByAList) {
  etcd.Put(Image("a"), "x");
  etcd.Put(Image("b"), "x");
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Delete(Image("a"));
  for (int i = 0; i < 5; ++i) etcd.Put(Image("b"), "y");
  etcd.Compact(etcd.revision());
  etcd.Behave([](auto& b) { b.hold_watches = false; });
  ExpectFresh();
  EXPECT_EQ(judge.lists, 2);
}

TEST_F(FaultyEtcd, ACompactionWhileTheBackendIsAwayIsAnsweredByAList) {
  etcd.Put(Image("a"), "x");
  Start();
  etcd.Down();
  etcd.Put(Image("a"), "y");
  etcd.Put(Image("b"), "y");
  etcd.Compact(etcd.revision());
  etcd.Up();
  ExpectFresh();
  EXPECT_EQ(judge.lists, 2);
}

TEST_F(FaultyEtcd, ARestoredBackendIsListedAnewHoweverFarItHasCome) {
  for (int i = 0; i < 10; ++i) etcd.Put(Image("kept" + std::to_string(i)), "x");
  const Revision snapshot = etcd.revision();
  Start();
  int lists = 1;
  const auto lose = [&] {
    for (int i = 0; i < 10; ++i) etcd.Put(Image("lost" + std::to_string(i)), "x");
    ExpectFresh();
  };
  using enum FakeEtcd::Trace;
  enum class Changed { kElsewhere, kANewRecord, kAKnownRecord };
  using enum Changed;
  const struct {
    const char* what;
    int revisions_since;
    Changed changed;
    FakeEtcd::Trace trace;
  } kCases[] = {
      {"older than the index", 0, kElsewhere, kNone},
      {"still older", 5, kANewRecord, kNone},
      {"just as old, by others' records", 10, kElsewhere, kNone},
      {"just as old, by ours", 10, kANewRecord, kNone},
      {"just as old, by one of ours", 10, kAKnownRecord, kNone},
      {"newer, by others' records", 30, kElsewhere, kNone},
      {"newer, by ours", 30, kANewRecord, kNone},
      {"another cluster", 30, kElsewhere, kClusterId},
      {"terms begin again", 30, kAKnownRecord, kRaftTerm},
  };
  for (const auto& c : kCases) {
    lose();
    etcd.Down();
    etcd.Restore(snapshot, c.trace);
    for (int i = 0; i < c.revisions_since; ++i) {
      etcd.Put(c.changed == kElsewhere    ? "/elsewhere"
               : c.changed == kANewRecord ? Image("new" + std::to_string(i))
                                          : Image("kept3"),
               "x");
    }
    etcd.Up();
    const auto at = Ask().get();
    ASSERT_TRUE(at.ok()) << c.what << at.status();
    EXPECT_GE(*at, etcd.revision()) << c.what;
    EXPECT_EQ(judge.lists, ++lists) << c.what;
  }
}

// Histories that part at some revision and differ after it as chance wants: in what was written, in
// its order, or in nothing. Mostly the same keys come to the same revisions.
TEST_F(FaultyEtcd, WhereverHistoriesPartTheIndexIsTheBackends) {
  constexpr uint64_t kSeed = 3;
  Random random(kSeed, 0, 0);
  const auto change = [&]() -> FakeEtcd::Changes {
    const std::string key = Image("i" + std::to_string(random.Below(3)));
    if (random.Chance(0.1)) return {{key, std::nullopt}};
    // A dockerImageReference of one letter.
    const std::string object = {'\x12', '\x01', static_cast<char>('A' + random.Below(3))};
    return {{key, records::Encode(records::Kind::kImage, object)}};
  };
  for (int i = 0; i < 5; ++i) etcd.Commit(change());
  Start();
  int same_revisions = 0;
  for (int round = 0; round < 60; ++round) {
    const Revision parting = etcd.revision();
    std::vector<FakeEtcd::Changes> lost(1 + random.Below(4));
    for (auto& one : lost) one = change();
    std::vector<FakeEtcd::Changes> instead = lost;
    switch (random.Below(4)) {
      case 0:  // other values
        for (auto& one : instead) {
          if (one[0].second) one[0].second->back() = static_cast<char>('A' + random.Below(3));
        }
        break;
      case 1:  // another order
        for (size_t i = instead.size(); i > 1; --i)
          std::swap(instead[i - 1], instead[random.Below(i)]);
        break;
      case 2:  // others
        instead.resize(1 + random.Below(5));
        for (auto& one : instead) one = change();
        break;
      default:
        break;
    }
    for (const auto& one : lost) etcd.Commit(one);
    ExpectFresh();
    const auto before = etcd.state();
    etcd.Diverge(parting, instead);
    // By nothing but values.
    const auto after = etcd.state();
    const auto key_and_revision = [](const auto& a, const auto& b) {
      return a.first == b.first && a.second.modified == b.second.modified;
    };
    same_revisions +=
        std::equal(before.begin(), before.end(), after.begin(), after.end(), key_and_revision);
    const auto at = Ask().get();
    ASSERT_TRUE(at.ok()) << at.status();
    std::map<std::string, std::string> expected;
    for (const auto& [key, value] : after) {
      auto id = records::Keys("openshift.io").Parse(key);
      expected[key] = records::Decode(*std::move(id), value.value, value.modified).object;
    }
    // A read that was answered before the cut may have let the request pass.
    for (const auto until = clock.Now() + std::chrono::seconds(20);
         judge.Objects() != expected && clock.Now() < until;) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    ASSERT_EQ(judge.Objects(), expected) << "round " << round << " of seed " << kSeed;
  }
  EXPECT_GT(same_revisions, 10) << "else this says little";
}

TEST_F(FaultyEtcd, WhoWaitsWhileTheBackendIsPutBackIsAnsweredFromTheNewHistory) {
  etcd.Put(Image("a"), "x");
  const Revision snapshot = etcd.revision();
  Start();
  for (int i = 0; i < 20; ++i) etcd.Put(Image("lost"), "x");
  ExpectFresh();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("lost"), "y");
  auto waiting = Ask();
  EXPECT_EQ(waiting.wait_for(milliseconds(1000)), std::future_status::timeout);
  etcd.Restore(snapshot, FakeEtcd::Trace::kNone);
  etcd.Behave([](auto& b) { b.hold_watches = false; });
  const auto at = waiting.get();
  ASSERT_TRUE(at.ok()) << at.status();
  EXPECT_EQ(*at, snapshot);
}

TEST_F(FaultyEtcd, ABackendThatHangsEndsNeitherDeadlinesNorStop) {
  Start({.barrier = {.read_timeout = milliseconds(60'000)}});
  etcd.Behave([](auto& b) { b.hang_reads = true; });
  EXPECT_EQ(Ask(milliseconds(100)).get().status().code(), StatusCode::kDeadlineExceeded);
  auto waiting = Ask();
  const auto start = clock.Now();
  reflector->Stop();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(5));
  EXPECT_EQ(waiting.get().status().code(), StatusCode::kCancelled);
  etcd.Behave([](auto& b) { b.hang_reads = false; });
}

TEST_F(FaultyEtcd, AShortElectionIsNotSeen) {
  Start();
  etcd.Put(Image("a"), "x");
  etcd.Behave([](auto& b) { b.fail_reads = 5; });
  ExpectFresh();
}

TEST_F(FaultyEtcd, ABackendThatIsAwayIsAnErrorSoonAndIsFoundAgainSoon) {
  Start({.barrier = {.patience = milliseconds(300)}});
  etcd.Down();
  EXPECT_EQ(Ask().get().status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(reflector->connection().ok());
  etcd.Put(Image("meanwhile"), "x");
  etcd.Up();
  base::StatusOr<Revision> at = base::UnavailableError("");
  const auto start = clock.Now();
  while (!at.ok() && clock.Now() - start < std::chrono::seconds(20)) at = Ask().get();
  ASSERT_TRUE(at.ok()) << at.status();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(10));
  EXPECT_EQ(judge.lists, 2);
}

TEST_F(FaultyEtcd, PagesThatAreTooLargeBecomeSmaller) {
  for (int i = 0; i < 100; ++i) etcd.Put(Image("i" + std::to_string(i)), std::string(1000, 'x'));
  etcd.Behave([](auto& b) { b.most_values_per_answer = 30; });
  Start({.list = {.page_size = 100, .page_bytes = 10'000}});
  ExpectFresh();
  EXPECT_EQ(judge.largest_page, 25u) << "half of half of what was asked for";
}

TEST_F(FaultyEtcd, AListThatFailsHalfwayBeginsAgain) {
  for (int i = 0; i < 50; ++i) etcd.Put(Image("i" + std::to_string(i)), "x");
  etcd.Behave([](auto& b) { b.fail_reads = 1; });
  Start({.list = {.page_size = 5}});
  ExpectFresh();
  // And one that the history leaves behind.
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("more"), "x");
  etcd.Put(Image("more"), "x");
  etcd.Compact(etcd.revision());
  std::thread compactor([this] {
    for (int i = 0; i < 50; ++i) {
      etcd.Put(Image("more"), "y");
      etcd.Compact(etcd.revision());
    }
    etcd.Behave([](auto& b) { b.hold_watches = false; });
  });
  compactor.join();
  ExpectFresh();
}

TEST_F(FaultyEtcd, KineIsReadAsItIs) {
  etcd.Behave([](auto& b) { b.kine = true; });
  etcd.Put(Image("a"), "x");
  etcd.Put("/openshift.io/imagestreams/ns/s", "x");
  Start();
  etcd.Put(Image("b"), "x");
  etcd.Put("/openshift.io/imagestreams/ns/t", "x");
  etcd.Delete(Image("a"));
  ExpectFresh();
  for (int round = 1; round <= 3; ++round) {
    etcd.CutStreams();
    etcd.Put(Image("c"), "x");
    ExpectFresh();
    EXPECT_EQ(judge.lists, round + 1);
    EXPECT_FALSE(reflector->has_standby()) << "nothing says that it would be of the same database";
  }
}

TEST_F(FaultyEtcd, AWatchThatBreaksGoesOnOnAStreamThatWasOpenAllTheTime) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  for (int round = 0; round < 6; ++round) {
    AwaitStandby();
    etcd.Put(Image("a"), std::to_string(round));
    ExpectFresh();
    (round % 2 == 0 ? one : other).CutAfter(0, 0);
    etcd.Put(Image("b"), std::to_string(round));
    ExpectFresh();
  }
  EXPECT_EQ(judge.lists, 1);
  // Both at a time: nothing is left that knows the history.
  AwaitStandby();
  one.CutAfter(0, 0);
  other.CutAfter(0, 0);
  etcd.Put(Image("c"), "x");
  ExpectFresh();
  EXPECT_GT(judge.lists, 1);
}

TEST_F(FaultyEtcd, TheOtherStreamHasATokenAndGetsANewOne) {
  etcd.Behave([](auto& b) { b.user = "strata", b.password = "secret"; });
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(),
        {.endpoints = {one.url(), other.url()}, .username = "strata", .password = "secret"});
  for (int round = 0; round < 4; ++round) {
    AwaitStandby();
    etcd.ExpireTokens();
    (round % 2 == 0 ? one : other).CutAfter(0, 0);
    etcd.Put(Image("a"), std::to_string(round));
    ExpectFresh();
  }
  EXPECT_EQ(judge.lists, 1);
}

TEST_F(FaultyEtcd, AWatchThatFallsSilentIsOvertakenByAnother) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  etcd.Put(Image("a"), "x");
  ExpectFresh();
  testing_support::CuttingProxy* const both[] = {&one, &other};
  for (int round = 0; round < 4; ++round) {
    AwaitStandby();
    auto& silent = *both[round % 2];
    silent.Freeze(true);
    for (int i = 0; i < 3; ++i) {
      etcd.Put(Image("a"), std::to_string(10 * round + i));
      etcd.Put("/elsewhere", "x");
      ExpectFresh();
    }
    silent.Freeze(false);
  }
  EXPECT_EQ(judge.lists, 1);
}

// The keepalive would take 15 s to give it up.
TEST_F(FaultyEtcd, ASilentWatchStallsNoReadWhereNothingOfOursIsWritten) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  AwaitStandby();
  const auto start = clock.Now();
  one.Freeze(true);
  ExpectFresh();
  etcd.Put("/elsewhere", "x");
  ExpectFresh();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(10));
  one.Freeze(false);
  EXPECT_EQ(judge.lists, 1);
}

// After an election nobody may write for a while, and what was asked of the other stream is long
// ago.
TEST_F(FaultyEtcd, ASilentWatchIsOvertakenHoweverLateSomethingIsWritten) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  AwaitStandby();
  one.Freeze(true);
  ExpectFresh();
  std::this_thread::sleep_for(milliseconds(2'500));
  etcd.Put(Image("a"), "x");
  ExpectFresh();
  EXPECT_EQ(judge.lists, 1);
  one.Freeze(false);
}

TEST_F(FaultyEtcd, AStartPassesAMemberByThatSaysNothing) {
  testing_support::CuttingProxy silent(etcd.url());
  silent.Freeze(true);
  const auto start = clock.Now();
  Start(Patient(), {.endpoints = {silent.url(), etcd.url()}, .dial_timeout = milliseconds(60'000)});
  ExpectFresh();
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(10)) << "a keepalive takes 15";
}

TEST_F(FaultyEtcd, ALongWayIsNoSilence) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  AwaitStandby();
  for (auto* proxy : {&one, &other}) proxy->Delay(milliseconds(150));
  one.CutAfter(0, 0);  // what is read then over a new connection has to be proven
  for (int i = 0; i < 3; ++i) {
    etcd.Put(Image("a"), std::to_string(i));
    ExpectFresh();
  }
}

// Frozen before there was another stream: all is listed from another member.
TEST_F(FaultyEtcd, ASilentWatchThatNobodyCanTakeOverFromIsGivenUp) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  other.Freeze(true);
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  ExpectFresh();
  EXPECT_FALSE(reflector->has_standby());
  const auto start = clock.Now();
  one.Freeze(true);
  other.Freeze(false);
  etcd.Put(Image("a"), "x");
  auto waiting = Ask();
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(12));
  while (!reflector->connection().ok() && clock.Now() - start < std::chrono::seconds(20))
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(reflector->connection().ok());
  EXPECT_EQ(judge.lists, 2);
  one.Freeze(false);
}

// A few requests fit into the window of a stream, and then none.
TEST_F(FaultyEtcd, AWatchThatTakesNothingIsOvertakenByAnother) {
  testing_support::CuttingProxy one(etcd.url());
  one.Grant({.bytes = 400});
  Start(Patient(), {.endpoints = {one.url(), etcd.url()}});
  AwaitStandby();
  for (int i = 0; i < 100; ++i) {
    etcd.Put("/elsewhere", "x");
    auto asked = Ask();
    ASSERT_EQ(asked.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_TRUE(asked.get().ok());
  }
  EXPECT_EQ(judge.lists, 1);
}

// Reads are answered all the while.
TEST_F(FaultyEtcd, StreamsOfWhichNoneIsAnsweredAreGivenUp) {
  Start({.barrier = {.read_timeout = std::chrono::seconds(1)}});
  ExpectFresh();
  AwaitStandby();
  etcd.Behave([](auto& b) { b.mute_watches = true, b.progress = FakeEtcd::Progress::kNever; });
  etcd.Put("/elsewhere", "x");
  auto until = clock.Now() + std::chrono::seconds(20);
  while (reflector->connection().ok() && clock.Now() < until) EXPECT_FALSE(Ask().get().ok());
  EXPECT_FALSE(reflector->connection().ok());
  etcd.Behave([](auto& b) { b.mute_watches = false, b.progress = FakeEtcd::Progress::kHonest; });
  until = clock.Now() + std::chrono::seconds(20);
  while (!Ask().get().ok() && clock.Now() < until) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(reflector->connection().ok());
}

TEST_F(FaultyEtcd, AWatchThatMovesAgainFirstIsKept) {
  testing_support::CuttingProxy one(etcd.url()), other(etcd.url());
  Start(Patient(), {.endpoints = {one.url(), other.url()}});
  for (int round = 0; round < 3; ++round) {
    AwaitStandby();
    etcd.Behave([](auto& b) { b.hold_watches = true; });
    etcd.Put(Image("a"), std::to_string(round));
    auto waiting = Ask();
    EXPECT_EQ(waiting.wait_for(milliseconds(700)), std::future_status::timeout);
    etcd.Behave([](auto& b) { b.hold_watches = false; });
    EXPECT_TRUE(waiting.get().ok());
    ExpectFresh();
  }
  EXPECT_EQ(judge.lists, 1);
}

TEST_F(FaultyEtcd, TheJudgeSeesAProgressThatComesTooEarly) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kTooEarly; });
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("a"), "x");
  EXPECT_TRUE(Ask().get().ok());
  reflector->Stop();
  EXPECT_GT(judge.wrong, 0);
  tolerated = judge.wrong;
}

TEST_F(FaultyEtcd, WhereProgressIsKnownToComeTooEarlyNobodyListensToIt) {
  etcd.Behave([](auto& b) { b.progress = FakeEtcd::Progress::kTooEarly, b.version = "3.4.23"; });
  etcd.Put(Image("a"), "x");
  Start();
  etcd.Behave([](auto& b) { b.hold_watches = true; });
  etcd.Put(Image("b"), "x");
  EXPECT_EQ(Ask(milliseconds(200)).get().status().code(), StatusCode::kDeadlineExceeded);
  etcd.Behave([](auto& b) { b.hold_watches = false; });
  EXPECT_TRUE(Ask().get().ok());
  etcd.Put("/elsewhere", "x");
  EXPECT_TRUE(Ask().get().ok()) << "nothing of ours has changed";
  etcd.Delete(Image("a"));
  EXPECT_TRUE(Ask().get().ok());
  EXPECT_EQ(etcd.progress_requests(), 0);
}

// Everything at once, in the order that chance gives.
class EverythingAtOnce : public FaultyEtcd,
                         public testing::WithParamInterface<std::tuple<int, std::string>> {
 protected:
  void Disturb(Random& random) {
    switch (random.Below(12)) {
      case 0:
        etcd.CutStreams();
        break;
      case 1:
        etcd.Compact(
            std::max<Revision>(0, etcd.revision() - static_cast<Revision>(random.Below(20))));
        break;
      case 2:
        ++restores;
        etcd.Restore(
            std::max<Revision>(1, etcd.revision() - static_cast<Revision>(random.Below(30))),
            random.Chance(0.3) ? FakeEtcd::Trace::kClusterId : FakeEtcd::Trace::kNone);
        ++restores;
        break;
      case 3:
        etcd.Behave([&](auto& b) {
          b.cut_after = random.Chance(0.5) ? static_cast<int>(random.Below(10)) + 4 : 0;
        });
        break;
      case 4:
        etcd.Behave([&](auto& b) { b.events_per_fragment = static_cast<int>(random.Below(3)); });
        break;
      case 5:
        etcd.Behave(
            [&](auto& b) { b.revisions_per_response = 1 + static_cast<int>(random.Below(10)); });
        break;
      case 6:
        etcd.Behave([&](auto& b) { b.fail_reads = static_cast<int>(random.Below(3)); });
        break;
      case 7:
        etcd.Behave([&](auto& b) { b.delay_events_up_to_us = random.Chance(0.5) ? 2000 : 0; });
        break;
      default:
        std::this_thread::sleep_for(std::chrono::microseconds(random.Below(60'000)));
    }
  }

  std::atomic<int> restores = 0;  // odd while one happens
};

TEST_P(EverythingAtOnce, TheIndexIsAlwaysTrueAndNeverBehindARequest) {
  const auto [seed, version] = GetParam();
  etcd.Behave([v = version](auto& b) {
    b.version = v;
    if (ProgressIsKnownWrong(b.version)) b.progress = FakeEtcd::Progress::kTooEarly;
  });
  for (int i = 0; i < 20; ++i) etcd.Put(Image("i" + std::to_string(i)), "x");
  Start({.list = {.page_size = 7},
         .barrier = {.read_timeout = std::chrono::seconds(20),
                     .patience = std::chrono::seconds(20)}});

  std::atomic<bool> stop = false;
  std::thread writer([&, s = seed] {
    Random random(static_cast<uint64_t>(s), 1, 0);
    while (!stop) {
      FakeEtcd::Changes changes;
      const auto count = 1 + random.Below(4);
      for (uint64_t i = 0; i < count; ++i) {
        const std::string key =
            random.Chance(0.3) ? "/elsewhere/" + std::to_string(i)
            : random.Chance(0.5)
                ? Image("i" + std::to_string(i) + random.Hex(1))
                : "/openshift.io/imagestreams/ns/s" + std::to_string(i) + random.Hex(1);
        changes.emplace_back(key,
                             random.Chance(0.3) ? std::nullopt : std::optional<std::string>("x"));
      }
      etcd.Commit(changes);
      std::this_thread::sleep_for(std::chrono::microseconds(random.Below(500)));
    }
  });
  std::thread disturber([&, s = seed] {
    Random random(static_cast<uint64_t>(s), 2, 0);
    // Where each disturbance takes as long as what mends it, nothing would ever be right.
    const auto until = clock.Now() + std::chrono::seconds(5);
    while (!stop && clock.Now() < until) Disturb(random);
    etcd.Behave([](auto& b) { b.cut_after = 0, b.fail_reads = 0, b.delay_events_up_to_us = 0; });
  });
  std::atomic<int> behind = 0, answered = 0, failed = 0;
  const int kRequests = 1000;
  for (int i = 0; i < kRequests; ++i) {
    const int restored_before = restores;
    const Revision committed = etcd.revision();
    const bool judged = restored_before % 2 == 0 && restores == restored_before;
    reflector->barrier().WaitFresh(
        clock.Now() + std::chrono::seconds(60),
        [&, restored_before, committed, judged](base::StatusOr<Revision> at) {
          // Where progress can't be trusted, other records' revisions don't count. And over a
          // restore there is no order.
          const bool comparable = judged && restores == restored_before &&
                                  !ProgressIsKnownWrong(std::get<1>(GetParam()));
          if (!at.ok()) {
            ++failed;
          } else if (comparable && *at < committed) {
            ++behind;
          }
          ++answered;
        });
    if (i % 10 == 0) std::this_thread::sleep_for(milliseconds(2));
  }
  for (const auto until = clock.Now() + std::chrono::seconds(80);
       answered < kRequests && clock.Now() < until;) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  stop = true;
  writer.join();
  disturber.join();
  EXPECT_EQ(answered, kRequests);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(behind, 0);
  EXPECT_TRUE(Ask().get().ok());
}

INSTANTIATE_TEST_SUITE_P(Seeds, EverythingAtOnce,
                         testing::Combine(testing::Values(1, 2, 3, 4),
                                          testing::Values(std::string("3.6.5"),
                                                          std::string("3.4.23"))));

}  // namespace
}  // namespace strata::reflector
