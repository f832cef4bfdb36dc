// How a process begins and ends.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <future>

namespace strata::base {

// Standard input, output and error that are closed become /dev/null: the next file that is opened
// would be one of them otherwise, and get what is said there.
void HoldStandardFiles();

// As many open files as the system lets the process have; what it begins with is a fraction, for
// programs that use select(2). Go's programs do the same (os/rlimit.go).
void RaiseFileLimit();

// No core file is made of the process, by the system or by what it hands them to, and no other
// process of its user may look into it: tokens and keys stand in its memory.
void ForbidCoreFiles();

// A file that would be larger than the system allows (ulimit -f) is an error of what was written,
// as on a full disk, and not the end of the process.
void RefuseWhatIsTooLarge();

// SIGTERM and SIGINT wait for an EndSignal, in this thread and in those that it starts. A peer that
// goes away is an error of what was written to it, and not the end of the process.
void HoldSignals();

// Memory or a thread that the system denies, where nobody can do without, ends the process as other
// errors at a start do: a line on stderr that begins with the program's name, and exit code 1. What
// else nobody catches aborts it.
void EndWhereTheSystemDenies();

// The above that every program of ours does, before all else. abseil no longer looks for cycles of
// locks, as it does where Debian builds it, with a lock of its own that all threads share: gRPC's
// locks cost that too.
void BeginProcess();

// The above that one that serves does before it starts a thread. gRPC is silent from there on,
// unless the environment asks: it would write to stderr by itself of what we report, in one line.
void BeginServing();

// The process ends with `kCode` after that time, in whole seconds, whatever still holds it up: a
// log that nobody reads, a disk that hangs. What mustn't be lost survives that as it survives a
// crash. The last call counts.
template <int kCode>
void EndWithin(std::chrono::nanoseconds time) {
  signal(SIGALRM, [](int) { _exit(kCode); });
  alarm(static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(time).count()));
}

// Hears of a signal that HoldSignals holds, from its making on, whatever other threads wait for.
// Then the process shall end: it does within `most`, as by EndWithin<0>, and at once at another
// signal. One in a process; its thread lives as long as that.
class EndSignal {
 public:
  explicit EndSignal(std::chrono::nanoseconds most);
  // Waits for it, and says which.
  int Await() const { return heard_.get(); }

 private:
  std::shared_future<int> heard_;
};

}  // namespace strata::base
