#include "lib/base/process.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <functional>

namespace strata::base {
namespace {

TEST(RaiseFileLimit, GivesWhatTheSystemLetsTheProcessHave) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit lowered{.rlim_cur = before.rlim_max / 2, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  RaiseFileLimit();
  rlimit after{};
  getrlimit(RLIMIT_NOFILE, &after);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  setrlimit(RLIMIT_NOFILE, &before);
}

// Of a process of its own: how waitpid(2) says that it ended.
int EndOf(const std::function<void()>& run) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    run();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(Signals, ThoseThatEndAProcessWaitUntilItAsksAndTheSecondEndsItAtOnce) {
  for (const int number : {SIGTERM, SIGINT}) {
    const int asked = EndOf([number] {
      HoldSignals();
      raise(number);
      if (AwaitEnd() != number) _exit(1);
    });
    EXPECT_TRUE(WIFEXITED(asked) && WEXITSTATUS(asked) == 0) << asked;
    const int twice = EndOf([number] {
      HoldSignals();
      raise(number);
      AwaitEnd();
      raise(SIGTERM);
    });
    EXPECT_TRUE(WIFSIGNALED(twice) && WTERMSIG(twice) == SIGTERM) << twice;
  }
}

TEST(Signals, APeerThatGoesAwayIsAnErrorOfTheWrite) {
  const int status = EndOf([] {
    HoldSignals();
    int ends[2];
    if (pipe(ends) != 0) _exit(1);
    close(ends[0]);
    if (write(ends[1], "x", 1) != -1 || errno != EPIPE) _exit(2);
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace strata::base
