#include "lib/base/process.h"

#include <absl/synchronization/mutex.h>
#include <cxxabi.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace strata::base {
namespace {

// Needs no memory, and waits a second for whoever reads the line.
[[noreturn]] void End(const char* why) {
  pollfd reader{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&reader, 1, 1000) == 0) _exit(1);
  dprintf(STDERR_FILENO, "%s: %s\n", program_invocation_short_name, why);
  _exit(1);
}

[[noreturn]] void OnTerminate() {
  if (abi::__cxa_current_exception_type() != nullptr) {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      End("memory is denied; raise its limit (memory.max of the cgroup, ulimit -d, ulimit -v)");
    } catch (const std::system_error& error) {
      // As std::thread has it.
      if (error.code() == std::errc::resource_unavailable_try_again) {
        End("a thread is denied; raise the limit of threads (pids.max of the cgroup, ulimit -u) or "
            "of memory");
      }
    } catch (...) {  // NOLINT(bugprone-empty-catch): told below
    }
  }
  __gnu_cxx::__verbose_terminate_handler();
  std::abort();
}

sigset_t EndSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void HoldStandardFiles() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest number that is free is given: those below are open by now.
    if (fcntl(file, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);
  }
}

void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void ForbidCoreFiles() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &none);
  // The limit doesn't hold for a program that is given cores (core(5)); this does.
  prctl(PR_SET_DUMPABLE, 0);
}

void HoldSignals() {
  const sigset_t set = EndSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void RefuseWhatIsTooLarge() {
  signal(SIGXFSZ, SIG_IGN);
}

void EndWhereTheSystemDenies() {
  std::set_terminate(OnTerminate);
}

void BeginProcess() {
  HoldStandardFiles();
  EndWhereTheSystemDenies();
  RefuseWhatIsTooLarge();
  ForbidCoreFiles();
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

void BeginServing() {
  HoldSignals();
  RaiseFileLimit();
  setenv("GRPC_VERBOSITY", "NONE", /*replace=*/0);
}

EndSignal::EndSignal(std::chrono::nanoseconds most) {
  std::promise<int> heard;
  heard_ = heard.get_future().share();
  std::thread([heard = std::move(heard), most]() mutable {
    const sigset_t set = EndSignals();
    int number = 0;
    sigwait(&set, &number);
    EndWithin<0>(most);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    heard.set_value(number);
    for (;;) pause();  // for the next
  }).detach();
}

}  // namespace strata::base
