#include "lib/obs/lazy_counters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace strata::obs {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(LazyCounters, ACounterIsShownOnceItCounts) {
  Metrics metrics;
  LazyCounters<600> by_code;
  int made = 0;
  const auto count = [&](size_t code) {
    by_code
        .At(code,
            [&] {
              ++made;
              return metrics.AddCounter("a_total", "As.", {{"code", std::to_string(code)}});
            })
        .Increment();
  };
  count(200);
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("404")));
  count(404);
  count(200);
  EXPECT_EQ(made, 2);
  EXPECT_THAT(metrics.Text(), HasSubstr("a_total{code=\"200\"} 2\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("a_total{code=\"404\"} 1\n"));
}

TEST(LazyCounters, ThreadsThatMakeOneTogetherCountTogether) {
  Metrics metrics;
  LazyCounters<1> counters;
  std::atomic<int> arrived = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      ++arrived;
      while (arrived < 4) std::this_thread::yield();
      counters.At(0, [&] { return metrics.AddCounter("a_total", "As."); }).Increment();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counters.At(0, [&] { return metrics.AddCounter("b_total", "Bs."); }).value(), 4);
}

}  // namespace
}  // namespace strata::obs
