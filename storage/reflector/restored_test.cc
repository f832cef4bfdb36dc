#include <gtest/gtest.h>

#include <cstdint>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/reflector/followed_fixture_test.h"
#include "test/support/random.h"

namespace strata::reflector {
namespace {

using testing_support::Random;

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
    Eventually([&] { return judge.Objects() == expected; });
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

}  // namespace
}  // namespace strata::reflector
