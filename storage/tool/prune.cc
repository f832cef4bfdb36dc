#include "storage/tool/prune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <system_error>
#include <tuple>
#include <utility>

namespace strata::tool {
namespace {

namespace fs = std::filesystem;

struct Snapshot {
  fs::file_time_type made;
  std::string name;
  int64_t bytes = 0;

  bool operator<(const Snapshot& other) const {
    return std::tie(made, name) < std::tie(other.made, other.name);
  }
};

base::Status Error(const fs::path& path, const std::error_code& why) {
  return base::UnavailableError(fmt::format("{}: {}", path.string(), why.message()));
}

base::Status Remove(const fs::path& path) {
  std::error_code why;
  fs::remove(path, why);
  return why ? Error(path, why) : base::OkStatus();
}

// Whoever takes a snapshot that isn't whole by then has been ended.
constexpr std::chrono::hours kLongest{1};

// Oldest first. What was cut off is removed.
base::StatusOr<std::vector<Snapshot>> SnapshotsOf(const PruneOptions& options) {
  std::vector<Snapshot> found;
  std::error_code why;
  fs::directory_iterator entry(options.directory, why);
  for (; !why && entry != fs::directory_iterator(); entry.increment(why)) {
    Snapshot one{.name = entry->path().filename().string()};
    if (!one.name.starts_with(options.prefix) || !entry->is_regular_file(why)) continue;
    const bool part = one.name.ends_with(".db.part");
    if (!part && !one.name.ends_with(".db")) continue;
    one.made = entry->last_write_time(why);
    if (part) {
      if (!why && one.made < fs::file_time_type::clock::now() - kLongest)
        STRATA_RETURN_IF_ERROR(Remove(entry->path()));
      why.clear();  // it may have become a snapshot, or gone
      continue;
    }
    if (!why) one.bytes = static_cast<int64_t>(entry->file_size(why));
    if (why) return Error(entry->path(), why);
    found.push_back(std::move(one));
  }
  if (why) return Error(options.directory, why);
  std::sort(found.begin(), found.end());
  return found;
}

base::StatusOr<int64_t> RoomOf(const PruneOptions& options) {
  if (options.room) return options.room();
  std::error_code why;
  const fs::space_info space = fs::space(options.directory, why);
  if (why) return Error(options.directory, why);
  // Some file systems of the network don't say.
  if (space.capacity == 0) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(space.available);
}

}  // namespace

base::StatusOr<Pruned> Prune(const PruneOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<Snapshot> all, SnapshotsOf(options));
  Pruned pruned;
  for (size_t i = 0; i < all.size(); ++i) {
    const size_t left = all.size() - i;
    const int64_t next = all.back().bytes + all.back().bytes / 2;
    STRATA_ASSIGN_OR_RETURN(const int64_t room, RoomOf(options));
    if (left == 1 || (left <= options.keep && room >= next)) {
      pruned.kept.push_back(all[i].name);
      continue;
    }
    STRATA_RETURN_IF_ERROR(Remove(fs::path(options.directory) / all[i].name));
    pruned.removed.push_back(all[i].name);
  }
  return pruned;
}

}  // namespace strata::tool
