#include "storage/replica/cache_dir.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "lib/base/bytes.h"
#include "lib/base/file.h"

namespace strata::replica {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFilePrefix = "replica-";

base::StatusOr<std::string> MakeTemporary() {
  const char* const asked = getenv("TMPDIR");
  const std::string parent = asked != nullptr && *asked != '\0' ? asked : "/tmp";
  std::string path = parent + "/strata-replica-XXXXXX";
  if (mkdtemp(path.data()) != nullptr) return path;
  return base::FailedPreconditionError(
      fmt::format("no directory can be made in {} ({}): name one that can be written",
                  base::Printable(parent, 200), std::generic_category().message(errno)));
}

// What isn't a replica's file stays.
void RemoveOldFiles(const std::string& path) {
  std::error_code error;
  for (const auto& entry : base::ListFolder(path, error)) {
    if (entry.path().filename().string().starts_with(kFilePrefix) && entry.is_regular_file(error)) {
      fs::remove(entry.path(), error);
    }
  }
}

}  // namespace

base::StatusOr<std::unique_ptr<CacheDir>> CacheDir::Open(const std::string& path) {
  if (path.empty()) {
    STRATA_ASSIGN_OR_RETURN(std::string made, MakeTemporary());
    return std::unique_ptr<CacheDir>(new CacheDir(std::move(made), nullptr));
  }
  STRATA_ASSIGN_OR_RETURN(auto held, engine::DataDir::Hold(path));
  RemoveOldFiles(path);
  return std::unique_ptr<CacheDir>(new CacheDir(path, std::move(held)));
}

CacheDir::~CacheDir() {
  if (temporary()) rmdir(path_.c_str());
}

std::string CacheDir::NewPath() {
  return fmt::format("{}/{}{}.mdb", path_, kFilePrefix, ++files_);
}

uint64_t CacheDir::Room() const {
  struct statvfs status {};
  if (statvfs(path_.c_str(), &status) != 0) return 0;
  return uint64_t{status.f_bavail} * status.f_frsize;
}

}  // namespace strata::replica
