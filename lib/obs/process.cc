#include "lib/obs/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

namespace strata::obs {
namespace {

// /proc/self/statm: sizes in pages (proc(5)).
double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double OpenFiles() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error))
    ++count;
  return count;
}

double FileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

void AddProcessMetrics(Metrics& metrics) {
  const double start =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  metrics.AddGaugeFunction("process_resident_memory_bytes", "Resident memory size in bytes.", {},
                           ResidentBytes);
  metrics.AddCounterFunction("process_cpu_seconds_total",
                             "Total user and system CPU time spent in seconds.", {}, CpuSeconds);
  metrics.AddGaugeFunction("process_open_fds", "Number of open file descriptors.", {}, OpenFiles);
  metrics.AddGaugeFunction("process_max_fds", "Maximum number of open file descriptors.", {},
                           FileLimit);
  metrics.AddGaugeFunction("process_start_time_seconds",
                           "Start time of the process since unix epoch in seconds.", {},
                           [start] { return start; });
}

}  // namespace strata::obs
