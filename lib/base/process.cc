#include "lib/base/process.h"

#include <fcntl.h>
#include <sys/resource.h>

namespace strata::base {

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

}  // namespace strata::base
