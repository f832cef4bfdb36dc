#include "lib/obs/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::obs {
namespace {

namespace fs = std::filesystem;

size_t PageBytes() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Nothing for "max", and where there is no such file.
std::optional<size_t> NumberIn(const fs::path& file) {
  std::ifstream in(file);
  size_t number = 0;
  if (in >> number) return number;
  return std::nullopt;
}

// The process's place in a hierarchy, by /proc/self/cgroup (cgroups(7)): lines of
// hierarchy:controllers:path, the second version's without controllers.
std::optional<std::string> PathIn(const fs::path& cgroups, std::string_view controller) {
  std::ifstream in(cgroups);
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers.find("," + std::string(controller) + ",") != std::string::npos)
      return line.substr(second + 1);
  }
  return std::nullopt;
}

// The group's folders below `mount`, its own first. A container sees its own group as the root,
// whatever path it is told.
std::vector<fs::path> Folders(const fs::path& mount, const std::string& path) {
  std::vector<fs::path> folders;
  fs::path of = fs::path(path).relative_path();
  for (; !of.empty(); of = of.parent_path()) folders.push_back(mount / of);
  folders.push_back(mount);
  return folders;
}

}  // namespace

ProcessMemory::ProcessMemory(const fs::path& root)
    : statm_(root / "proc/self/statm"),
      allowed_(static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * PageBytes()) {
  const auto look = [&](const fs::path& mount, std::string_view controller, const char* file) {
    const auto path = PathIn(root / "proc/self/cgroup", controller);
    if (!path) return;
    for (const fs::path& folder : Folders(mount, *path)) {
      allowed_ = std::min(allowed_, NumberIn(folder / file).value_or(allowed_));
      std::error_code error;
      if (controller.empty() && stat_.empty() && fs::exists(folder / "memory.stat", error))
        stat_ = folder / "memory.stat";
    }
  };
  look(root / "sys/fs/cgroup", "", "memory.max");
  look(root / "sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes");
}

std::optional<size_t> ProcessMemory::Taken() const {
  size_t size = 0, resident = 0, of_files = 0;  // in pages (proc(5))
  if (!(std::ifstream(statm_) >> size >> resident >> of_files)) return std::nullopt;
  const size_t taken = (resident - std::min(resident, of_files)) * PageBytes();
  if (stat_.empty()) return taken;
  std::ifstream stat(stat_);
  if (!stat) return std::nullopt;
  std::string name;
  for (size_t bytes = 0; stat >> name >> bytes;) {
    if (name == "sock") return taken + bytes;
  }
  return taken;
}

MemoryWatch::MemoryWatch(const Options& options, ProcessMemory memory,
                         base::MemoryPressure& pressure, std::function<void()> relieve,
                         const Logger& log, Metrics& metrics)
    : options_(options),
      memory_(std::move(memory)),
      limit_(options.limit != 0 ? options.limit : memory_.allowed()),
      pressure_(pressure),
      relieve_(std::move(relieve)),
      log_(log) {
  metrics.AddGaugeFunction("strata_memory_limit_bytes", "Memory that the server may take.", {},
                           [limit = limit_] { return static_cast<double>(limit); });
  metrics.AddGaugeFunction(
      "strata_memory_taken_bytes",
      "Memory that the server takes, without pages of files, and with what sockets hold.", {},
      [taken = memory_] { return static_cast<double>(taken.Taken().value_or(0)); });
  metrics.AddGaugeFunction("strata_memory_pressure",
                           "1 while memory is short, and nothing that clients share grows.", {},
                           [&pressure] { return pressure.high() ? 1.0 : 0.0; });
  thread_ = std::thread([this] { Run(); });
}

MemoryWatch::~MemoryWatch() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void MemoryWatch::Run() {
  base::MutexLock lock(&mu_);
  while (!stopping_) {
    mu_.Unlock();
    Look();
    mu_.Lock();
    const auto next = std::chrono::steady_clock::now() + options_.interval;
    while (!stopping_ && changed_.WaitUntil(mu_, next)) {
    }
  }
}

void MemoryWatch::Look() {
  const std::optional<size_t> known = memory_.Taken();
  if (!known) return;
  const size_t taken = *known;
  const bool was = pressure_.high();
  const bool high = taken >= (was ? limit_ / 4 * 3 : limit_ / 5 * 4);
  if (high != was) {
    pressure_.Set(high);
    if (high) {
      log_.Warning("Memory is short: nothing that clients share grows until there is more",
                   {{"bytes", taken}, {"limit", limit_}});
    } else {
      log_.Info("Memory isn't short any more", {{"bytes", taken}, {"limit", limit_}});
    }
  }
  if (!high) return;
  relieve_();
  const auto now = std::chrono::steady_clock::now();
  if (now - trimmed_ < options_.trim_interval) return;
  trimmed_ = now;
  malloc_trim(0);
}

}  // namespace strata::obs
