#include "lib/base/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "test/support/temp_dir.h"

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

// The same, with what it said.
std::pair<int, std::string> EndAndWordsOf(const std::function<void()>& run) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const int status = EndOf([&] {
    dup2(ends[1], STDERR_FILENO);
    run();
  });
  close(ends[1]);
  std::string said(4096, '\0');
  said.resize(std::max<ssize_t>(read(ends[0], said.data(), said.size()), 0));
  close(ends[0]);
  return {status, said};
}

TEST(EndWhereTheSystemDenies, SaysWhatIsDeniedAndEndsWithOne) {
  struct Case {
    std::function<void()> fault;
    std::string said;
  };
  const std::vector<Case> cases = {
      {[] { throw std::bad_alloc(); }, "_test: memory is denied; raise its limit"},
      {[] { throw std::bad_array_new_length(); }, "_test: memory is denied"},
      {[] { throw std::system_error(EAGAIN, std::generic_category()); },
       "_test: a thread is denied; raise the limit of threads"}};
  for (const Case& one : cases) {
    // noexcept, as a thread's function is.
    const auto [status, said] = EndAndWordsOf([&]() noexcept {
      EndWhereTheSystemDenies();
      one.fault();
    });
    EXPECT_TRUE(WIFEXITED(status)) << said;
    EXPECT_EQ(WEXITSTATUS(status), 1);
    EXPECT_THAT(said, testing::HasSubstr(one.said));
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  }
}

TEST(EndWhereTheSystemDenies, AbortsForWhatElseNobodyCatches) {
  for (const std::function<void()>& fault : std::vector<std::function<void()>>{
           [] { throw std::runtime_error("the very reason"); },
           [] { throw std::system_error(EIO, std::generic_category(), "the very reason"); }}) {
    const auto [status, said] = EndAndWordsOf([&]() noexcept {
      EndWhereTheSystemDenies();
      fault();
    });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
    EXPECT_THAT(said, testing::HasSubstr("the very reason"));
  }
}

TEST(EndWhereTheSystemDenies, WaitsASecondForWhoeverReadsIt) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  const std::string much(4096, 'x');
  while (write(ends[1], much.data(), much.size()) > 0) {
  }
  fcntl(ends[1], F_SETFL, 0);
  const auto fault = [] { throw std::bad_alloc(); };
  const int status = EndOf([&]() noexcept {
    dup2(ends[1], STDERR_FILENO);
    EndWhereTheSystemDenies();
    fault();
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  close(ends[0]);
  close(ends[1]);
}

TEST(RefuseWhatIsTooLarge, IsAnErrorOfTheWrite) {
  const testing_support::TempDir dir;
  const int status = EndOf([&] {
    RefuseWhatIsTooLarge();
    const rlimit limit{.rlim_cur = 10, .rlim_max = 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    const int file = open((dir.path() + "/file").c_str(), O_CREAT | O_WRONLY, 0600);
    if (write(file, "0123456789x", 11) != 10) _exit(1);
    if (write(file, "x", 1) != -1 || errno != EFBIG) _exit(2);
  });
  EXPECT_EQ(status, 0);
}

TEST(ForbidCoreFiles, LeavesNoneByTheLimitNorToAProgramThatIsGivenThem) {
  const int status = EndOf([] {
    ForbidCoreFiles();
    rlimit limit{};
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) _exit(1);
    if (prctl(PR_GET_DUMPABLE) != 0) _exit(2);
    abort();
  });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status)) << status;
}

TEST(Signals, ThoseThatEndAProcessWaitUntilItAsksAndTheSecondEndsItAtOnce) {
  static constexpr std::chrono::minutes kLong{10};
  for (const int number : {SIGTERM, SIGINT}) {
    const int asked = EndOf([number] {
      HoldSignals();
      kill(getpid(), number);
      if (EndSignal(kLong).Await() != number) _exit(1);
    });
    EXPECT_TRUE(WIFEXITED(asked) && WEXITSTATUS(asked) == 0) << asked;
    const int twice = EndOf([number] {
      HoldSignals();
      const EndSignal end(kLong);
      kill(getpid(), number);
      end.Await();
      kill(getpid(), SIGTERM);
      for (;;) pause();
    });
    EXPECT_TRUE(WIFSIGNALED(twice) && WTERMSIG(twice) == SIGTERM) << twice;
  }
}

TEST(Signals, AnEndThatNobodyAwaitsComesInItsTime) {
  const int status = EndOf([] {
    HoldSignals();
    const EndSignal end(std::chrono::seconds(1));
    kill(getpid(), SIGTERM);
    for (;;) pause();  // as on a disk that hangs
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
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
