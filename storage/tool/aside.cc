#include "storage/tool/aside.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/engine/data_dir.h"
#include "storage/engine/snapshot.h"
#include "storage/engine/store.h"
#include "storage/engine/tree/disk.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;

base::Status Failed(const std::string& path) {
  return base::UnavailableError(fmt::format("{}: {}", path, std::strerror(errno)));
}

base::Status MoveOut(const std::string& aside, const std::string& directory) {
  STRATA_RETURN_IF_ERROR(engine::Settle(aside));
  const std::string from = aside + "/" + engine::kStoreFile;
  const std::string target = directory + "/" + engine::kStoreFile;
  if (rename(from.c_str(), target.c_str()) != 0) return Failed(target);
  base::Status durable = engine::tree::SyncDirectory(directory);
  std::error_code error;
  if (!durable.ok()) fs::remove(target, error);
  return durable;
}

base::Status Make(const std::string& directory, bool keep,
                  absl::FunctionRef<base::Status(const std::string& aside)> fill) {
  std::error_code error;
  const bool existed = fs::exists(directory, error);
  if (existed && !fs::is_empty(directory, error)) {
    return base::FailedPreconditionError(
        fmt::format("{}: something is in it; give a directory that isn't there", directory));
  }
  if (!existed && mkdir(directory.c_str(), 0700) != 0) return Failed(directory);
  const std::string aside = directory + "/" + engine::kRestoring;
  base::Status made = existed ? base::OkStatus() : engine::tree::SyncDirectory(directory + "/..");
  if (made.ok() && mkdir(aside.c_str(), 0700) != 0) made = Failed(aside);
  if (made.ok()) made = fill(aside);
  if (made.ok() && keep) made = MoveOut(aside, directory);
  fs::remove_all(aside, error);
  if (!existed && !(made.ok() && keep)) fs::remove(directory, error);
  return made;
}

}  // namespace

base::Status MakeAside(const std::string& directory,
                       absl::FunctionRef<base::Status(const std::string& aside)> fill) {
  return Make(directory, /*keep=*/true, fill);
}

base::Status LookAside(const std::string& directory,
                       absl::FunctionRef<base::Status(const std::string& aside)> look) {
  return Make(directory, /*keep=*/false, look);
}

base::Status OpenAndVerify(const std::string& directory, const base::Clock& clock) {
  obs::Metrics metrics;
  STRATA_ASSIGN_OR_RETURN(const auto store, engine::Store::Open(directory, {.look_only = true},
                                                                clock, obs::NullLogger(), metrics));
  return store->Verify().status();
}

}  // namespace strata::tool
