#include "lib/transport/net/resolve.h"

#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <chrono>
#include <string>
#include <string_view>

#include "test/support/no_threads.h"

namespace {

// The system's resolver, for the name slow.test.
struct Slow {
  absl::Mutex mu;
  bool hangs ABSL_GUARDED_BY(mu) = false;
  int asked ABSL_GUARDED_BY(mu) = 0;
} slow;

}  // namespace

// In the place of libc's.
extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** list) {
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (std::string_view(host) != "slow.test" || (hints->ai_flags & AI_NUMERICHOST) != 0)
    return real(host, port, hints, list);
  {
    absl::MutexLock lock(&slow.mu);
    ++slow.asked;
    const auto goes_on = [] { return !slow.hangs; };
    slow.mu.Await(absl::Condition(&goes_on));
  }
  return real("127.0.0.1", port, hints, list);
}

namespace strata::net {
namespace {

using std::chrono::milliseconds;

std::string Outcome(milliseconds patience = milliseconds(10'000)) {
  const Interruption never;
  const auto found = Resolve({.host = "slow.test", .port = "443"}, never,
                             std::chrono::steady_clock::now() + patience);
  return found.ok() ? "found" : std::string(base::Message(found.status()));
}

TEST(Resolve, WhoAsksWhileTheResolverHangsWaitsForTheSameAnswer) {
  {
    absl::MutexLock lock(&slow.mu);
    slow.hangs = true;
  }
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(Outcome(milliseconds(20)), "resolving slow.test: no answer in time");
  {
    absl::MutexLock lock(&slow.mu);
    EXPECT_EQ(slow.asked, 1);
    slow.hangs = false;
  }
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
