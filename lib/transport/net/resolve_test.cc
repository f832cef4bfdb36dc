#include "lib/transport/net/resolve.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "test/support/no_threads.h"
#include "test/support/slow_resolver.h"

namespace strata::net {
namespace {

using std::chrono::milliseconds;
using testing_support::slow_resolver;

std::string Outcome(milliseconds patience = milliseconds(10'000)) {
  const Interruption never;
  const auto found = Resolve({.host = "slow.test", .port = "443"}, never,
                             std::chrono::steady_clock::now() + patience);
  return found.ok() ? "found" : std::string(base::Message(found.status()));
}

TEST(Resolve, WhoAsksWhileTheResolverHangsWaitsForTheSameAnswer) {
  slow_resolver.Hang(true);
  const int before = slow_resolver.asked();
  // And until the thread that asks has come to it.
  for (int i = 0; i < 5 || (slow_resolver.asked() == before && i < 500); ++i)
    EXPECT_EQ(Outcome(milliseconds(20)), "resolving slow.test: no answer in time");
  EXPECT_EQ(slow_resolver.asked(), before + 1);
  slow_resolver.Release();
  EXPECT_EQ(Outcome(), "found");
}

TEST(Resolve, SaysSoWhereTheSystemDeniesAThread) {
  {
    const testing_support::NoThreads denied;
    EXPECT_EQ(Outcome(), "resolving slow.test: the system denies a thread");
  }
  EXPECT_EQ(Outcome(), "found");
}

}  // namespace
}  // namespace strata::net
