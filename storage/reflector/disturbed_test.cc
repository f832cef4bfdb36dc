#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "storage/reflector/followed_fixture_test.h"
#include "storage/reflector/progress.h"
#include "test/support/random.h"

namespace strata::reflector {
namespace {

using testing_support::Random;

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
  Eventually([&] { return answered == kRequests; }, std::chrono::seconds(80));
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
