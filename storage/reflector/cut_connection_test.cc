#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "storage/reflector/followed_fixture_test.h"
#include "test/support/cutting_proxy.h"

namespace strata::reflector {
namespace {

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

}  // namespace
}  // namespace strata::reflector
