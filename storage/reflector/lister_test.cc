// Against a model of etcd: every key comes once, whatever the keys are and however the range is
// divided.
#include "storage/reflector/lister.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <thread>

#include "test/support/fake_etcd.h"
#include "test/support/random.h"

namespace strata::reflector {
namespace {

using base::Revision;
using base::StatusCode;
using testing_support::FakeEtcd;
using testing_support::Random;

constexpr std::string_view kImages = "/openshift.io/images/";
constexpr std::string_view kStreams = "/openshift.io/imagestreams/";

std::string Images(const std::string& name) {
  return std::string(kImages) + name;
}

// Keeps what it is given, and notes what comes twice and how much comes at a time.
class Gatherer : public Consumer {
 public:
  void BeginList() override {}
  void ListPage(const std::vector<records::Change>& page) override {
    std::function<void()> action;
    {
      absl::MutexLock lock(&mu);
      most_at_once = std::max(most_at_once, ++at_once);
      for (const auto& change : page) {
        if (!records.emplace(keys.KeyOf(change.id), change.revision).second) ++twice;
      }
      action = std::exchange(at_first_page, nullptr);
    }
    if (action) action();
    absl::MutexLock lock(&mu);
    --at_once;
    ++pages;
  }
  void EndList(Revision) override {}
  void AbortList() override {}
  void Apply(const std::vector<Batch>&, Revision) override {}

  const records::Keys keys{"openshift.io"};
  std::function<void()> at_first_page;
  absl::Mutex mu;
  std::map<std::string, Revision> records;
  int at_once = 0, most_at_once = 0, twice = 0, pages = 0;
};

class Listing : public testing::Test {
 protected:
  base::StatusOr<Lister::Found> List(const ListOptions& options, bool divisible = true) {
    client::Cancellation unused;
    return List(options, divisible, unused);
  }
  base::StatusOr<Lister::Found> List(const ListOptions& options, bool divisible,
                                     client::Cancellation& cancellation) {
    const KeyRange range = divisible
                               ? KeyRange{gatherer.keys.begin(), gatherer.keys.end()}
                               : KeyRange{gatherer.keys.begin_of_all(), gatherer.keys.end_of_all()};
    const auto now = client->Range({.key = range.begin, .count_only = true},
                                   clock.Now() + options.request_timeout);
    if (!now.ok()) return now.status();
    return Lister(*client, gatherer.keys, gatherer, options, *now, divisible, cancellation, clock,
                  list_metrics)
        .List(range);
  }

  void Write(const std::set<std::string>& keys, const std::string& value = "x") {
    FakeEtcd::Changes changes;
    for (const std::string& key : keys) changes.emplace_back(key, value);
    etcd.Commit(changes);
  }

  std::set<std::string> WriteImages(int count, const std::string& value = "x") {
    Random random(1, 2, 3);
    std::set<std::string> keys;
    for (int i = 0; i < count; ++i) keys.insert(Images(random.Hex(8)));
    Write(keys, value);
    return keys;
  }

  std::map<std::string, Revision> Records() const {
    std::map<std::string, Revision> all;
    for (const auto& [key, value] : etcd.state()) {
      if (gatherer.keys.Parse(key)) all[key] = value.modified;
    }
    return all;
  }
  int64_t KeysInRange() const {
    int64_t count = 0;
    for (const auto& [key, value] : etcd.state()) count += InRange(key) ? 1 : 0;
    return count;
  }

  Revision NewestInRange() const {
    Revision newest = 0;
    for (const auto& [key, value] : etcd.state()) {
      if (InRange(key)) newest = std::max(newest, value.modified);
    }
    return newest;
  }
  bool InRange(const std::string& key) const {
    return key >= gatherer.keys.begin() && key < gatherer.keys.end();
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  ListMetrics list_metrics{metrics};
  FakeEtcd etcd;
  Gatherer gatherer;
  std::unique_ptr<client::Client> client =
      *client::Client::Create({.endpoints = {etcd.url()}}, obs::NullLogger(), metrics);
};

struct Shape {
  const char* name;
  std::function<std::string(int, Random&)> key;
  int count = 300;
};

const Shape kShapes[] = {
    {"None", [](int, Random&) { return std::string("/elsewhere"); }, 1},
    {"One", [](int, Random&) { return Images("a"); }, 1},
    {"Digests", [](int, Random& random) { return Images("sha256:" + random.Hex(64)); }},
    {"AllInOnePart",
     [](int i, Random&) { return Images(std::string(200, 'x') + std::to_string(1000 + i)); }},
    {"EachBeginsTheNext",
     [](int i, Random&) { return Images(std::string(static_cast<size_t>(i) + 1, 'a')); }},
    {"LeastAndHighestBytes",
     [](int i, Random& random) {
       constexpr std::string_view kLetters("\0\x01\x7e\x7f\x80\xfe\xff", 7);
       std::string name = i % 2 == 0 ? "" : "sha256:";
       for (auto size = 1 + random.Below(6); size > 0; --size)
         name += kLetters[random.Below(kLetters.size())];
       return Images(name);
     }},
    {"StreamsOfFewNamespaces",
     [](int i, Random&) {
       return std::string(kStreams) + "team-" + std::to_string(i % 3) + "/app-" + std::to_string(i);
     }},
    {"OthersBetween",
     [](int i, Random& random) {
       const std::string name = random.Hex(8);
       return i % 3 == 0   ? Images(name)
              : i % 3 == 1 ? "/openshift.io/imagesignatures/" + name
                           : std::string(kStreams) + (i % 2 == 0 ? "ns/" : "") + name;
     }},
    {"NextToTheRange",
     [](int i, Random&) {
       const std::string name = std::to_string(i);
       return i % 3 == 0   ? "/openshift.io/images" + name
              : i % 3 == 1 ? "/openshift.io/imagestreams0" + name
                           : std::string(kStreams) + "zz/" + name;
     }},
};

class Shapes : public Listing, public testing::WithParamInterface<Shape> {};

TEST_P(Shapes, EveryKeyComesOnce) {
  Random random(1, 2, 3);
  std::set<std::string> keys;
  for (int i = 0; i < GetParam().count; ++i) keys.insert(GetParam().key(i, random));
  Write(keys);
  Write({*keys.rbegin()});  // the newest change
  for (const int64_t page_size : {1, 7, 50, 1000}) {
    for (const int parallelism : {1, 2, 5}) {
      gatherer.records.clear();
      gatherer.most_at_once = 0;
      const auto found = List({.page_size = page_size, .parallelism = parallelism});
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(gatherer.records, Records()) << page_size << " " << parallelism;
      EXPECT_EQ(gatherer.twice, 0);
      EXPECT_EQ(gatherer.at_once, 0);
      EXPECT_LE(gatherer.most_at_once, parallelism) << "no more pages are in memory";
      EXPECT_EQ(found->count, KeysInRange());
      EXPECT_EQ(found->newest, NewestInRange());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OfKeys, Shapes, testing::ValuesIn(kShapes),
                         [](const auto& shape) { return shape.param.name; });

TEST_F(Listing, IsOfOneRevisionWhateverIsWrittenMeanwhile) {
  const auto keys = WriteImages(300);
  const auto before = Records();
  gatherer.at_first_page = [&] {
    for (const std::string& key : keys) etcd.Delete(key);
    for (int i = 0; i < 50; ++i) etcd.Put(Images(std::to_string(i)), "x");
  };
  const auto found = List({.page_size = 10});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(gatherer.records, before);
}

TEST_F(Listing, APageThatFailsEndsTheListAndAllItsThreads) {
  WriteImages(300);
  const Revision snapshot = etcd.revision();
  using enum FakeEtcd::Trace;
  const auto spoil = [&](FakeEtcd::Behaviour::Pages pages) {
    return [this, pages] { etcd.Behave([&](auto& b) { b.pages = pages; }); };
  };
  const struct {
    const char* what;
    std::function<void()> fault;
    StatusCode code;
  } kCases[] = {
      {"unavailable", [&] { etcd.Behave([](auto& b) { b.fail_reads = 1; }); },
       StatusCode::kUnavailable},
      {"compacted",
       [&] {
         etcd.Put(Images("more"), "x");
         etcd.Compact(etcd.revision());
       },
       StatusCode::kOutOfRange},
      {"another cluster", [&] { etcd.Restore(etcd.revision(), kClusterId); },
       StatusCode::kUnavailable},
      {"another term", [&] { etcd.Restore(etcd.revision(), kRaftTerm); }, StatusCode::kUnavailable},
      {"a page without keys", spoil(FakeEtcd::Behaviour::Pages::kEmpty), StatusCode::kUnavailable},
      {"a page that runs backwards", spoil(FakeEtcd::Behaviour::Pages::kBackwards),
       StatusCode::kUnavailable},
      {"a page of another range", spoil(FakeEtcd::Behaviour::Pages::kOutOfRange),
       StatusCode::kUnavailable},
      {"older", [&] { etcd.Restore(snapshot, kNone); }, StatusCode::kOutOfRange},
  };
  for (const auto& c : kCases) {
    gatherer.at_first_page = c.fault;
    const auto found = List({.page_size = 5});
    EXPECT_EQ(found.status().code(), c.code) << c.what << found.status();
    EXPECT_EQ(gatherer.at_once, 0) << c.what;
    etcd.Behave([](auto& b) { b.pages = FakeEtcd::Behaviour::Pages::kHonest; });
    gatherer.records.clear();
    gatherer.twice = 0;
    const auto again = List({.page_size = 5});
    EXPECT_TRUE(again.ok()) << c.what << again.status();
    EXPECT_EQ(gatherer.records, Records()) << c.what;
    gatherer.records.clear();
  }
}

TEST_F(Listing, CancellationEndsItWhileTheBackendHangs) {
  WriteImages(300);
  gatherer.at_first_page = [&] { etcd.Behave([](auto& b) { b.hang_reads = true; }); };
  client::Cancellation cancellation;
  const int before = etcd.reads();
  std::thread canceller([&] {
    // The read of the revision and the first page are answered; the next ones hang.
    while (etcd.reads() - before < 3) std::this_thread::yield();
    cancellation.Cancel();
  });
  const auto start = clock.Now();
  const auto found = List({.page_size = 5, .request_timeout = std::chrono::seconds(60)},
                          /*divisible=*/true, cancellation);
  canceller.join();
  EXPECT_EQ(found.status().code(), StatusCode::kCancelled);
  EXPECT_LT(clock.Now() - start, std::chrono::seconds(30));
  etcd.Behave([](auto& b) { b.hang_reads = false; });
}

TEST_F(Listing, AStoreOfFoldersIsReadFrontToBack) {
  etcd.Behave([](auto& b) { b.kine = true; });
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    keys.insert(Images(std::to_string(i)));
    keys.insert(std::string(kStreams) + "ns/" + std::to_string(i));
  }
  Write(keys);
  const int before = etcd.reads();
  const auto found = List({.page_size = 7}, /*divisible=*/false);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(gatherer.records, Records());
  EXPECT_EQ(etcd.reads() - before, 1 + (200 + 6) / 7);
}

TEST_F(Listing, PagesThatAreTooLargeBecomeSmallerOnceForAllThreads) {
  WriteImages(400, std::string(1000, 'x'));
  etcd.Behave([](auto& b) { b.most_values_per_answer = 60; });
  const auto found = List({.page_size = 100, .page_bytes = 20'000, .parallelism = 8});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(gatherer.records, Records());
  // 100 is refused, 50 weighs too much, 25 too, 12 doesn't.
  EXPECT_LT(gatherer.pages, 400 / 3);
}

}  // namespace
}  // namespace strata::reflector
