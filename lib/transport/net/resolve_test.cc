#include "lib/transport/net/resolve.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "lib/transport/net/client_connection.h"
#include "test/support/deaf_address.h"
#include "test/support/no_threads.h"
#include "test/support/silent_listener.h"
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

TEST(Dial, OfANameOfSeveralAddressesOneThatIsDeadIsPassedBy) {
  const testing_support::SilentListener second;
  const std::string port = second.address().substr(second.address().rfind(':') + 1);
  const Interruption never;
  std::optional<testing_support::DeafAddress> first;  // else it refuses
  for (const bool deaf : {false, true}) {
    if (deaf) first.emplace("127.0.0.2", static_cast<uint16_t>(std::stoi(port)));
    const auto dialled =
        ClientConnection::Dial({.host = "two.test", .port = port}, nullptr, never,
                               std::chrono::steady_clock::now() + milliseconds(4'000));
    ASSERT_TRUE(dialled.ok()) << deaf << " " << dialled.status();
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    getpeername((*dialled)->socket(), reinterpret_cast<sockaddr*>(&peer), &size);
    EXPECT_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
  }
}

}  // namespace
}  // namespace strata::net
