#include "server/files/file_watcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/hash/hash.h>
#include <absl/time/time.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>

namespace strata::files {
namespace {

// What tells one content of a path from the next without reading it.
using Identity = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t>;

Identity IdentityOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

}  // namespace

base::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return base::NotFoundError(fmt::format("{}: {}", path, std::strerror(errno)));
  std::string content;
  char buffer[64 << 10];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || content.size() + static_cast<size_t>(n) > max_bytes) {
      const int error = n < 0 ? errno : EFBIG;
      close(fd);
      return base::UnavailableError(fmt::format("{}: {}", path, std::strerror(error)));
    }
    if (n == 0) break;
    content.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return content;
}

struct FileWatcher::Group {
  std::string name;
  std::vector<std::string> paths;
  Loader loader;
  std::vector<Identity> identities;
  size_t content_hash = 0;  // of what the loader saw last
  std::string last_error;   // of reading; empty when the last look could read everything
  int looks_until_read = 0;
  obs::Counter succeeded, failed;

  std::vector<Identity> Identify() const {
    std::vector<Identity> now;
    for (const std::string& path : paths) now.push_back(IdentityOf(path));
    return now;
  }
  base::StatusOr<std::vector<std::string>> Read(size_t max_bytes) const {
    std::vector<std::string> contents;
    for (const std::string& path : paths) {
      STRATA_ASSIGN_OR_RETURN(contents.emplace_back(), ReadFile(path, max_bytes));
    }
    return contents;
  }
};

FileWatcher::FileWatcher(FileWatcherOptions options, const obs::Logger& logger, obs::Metrics& metrics)
    : options_(options), logger_(logger), metrics_(metrics) {
  if (options_.poll_interval.count() > 0) thread_ = std::thread([this] { Run(); });
}

FileWatcher::~FileWatcher() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

base::Status FileWatcher::Watch(std::string_view name, std::vector<std::string> paths, Loader loader) {
  const auto counter = [&](const char* result) {
    return metrics_.AddCounter("strata_file_reloads_total", "Files that changed and were loaded again, by result.",
                               {{"files", std::string(name)}, {"result", result}});
  };
  auto group = std::make_unique<Group>(Group{.name = std::string(name),
                                             .paths = std::move(paths),
                                             .loader = std::move(loader),
                                             .identities = {},
                                             .last_error = {},
                                             .looks_until_read = options_.looks_between_reads,
                                             .succeeded = counter("success"),
                                             .failed = counter("error")});
  absl::MutexLock lock(&mu_);
  // Before reading: a change in between is then seen by the next look.
  group->identities = group->Identify();
  STRATA_ASSIGN_OR_RETURN(const auto contents, group->Read(options_.max_file_bytes));
  STRATA_RETURN_IF_ERROR(group->loader(contents));
  group->content_hash = absl::HashOf(contents);
  groups_.push_back(std::move(group));
  return base::OkStatus();
}

void FileWatcher::Poll() {
  absl::MutexLock lock(&mu_);
  for (const auto& group : groups_) LookAt(*group);
}

void FileWatcher::LookAt(Group& group) {
  auto identities = group.Identify();
  if (identities == group.identities && --group.looks_until_read > 0) return;
  group.looks_until_read = options_.looks_between_reads;
  group.identities = std::move(identities);
  const auto contents = group.Read(options_.max_file_bytes);
  if (!contents.ok()) {
    // Gone for a moment while it is replaced, or for good: either way what is loaded stays.
    if (group.last_error != base::Message(contents.status())) {
      group.last_error = base::Message(contents.status());
      group.failed.Increment();
      logger_.Warning("Could not read files again, what was loaded before stays in use",
                      {{"files", group.name}, {"err", contents.status()}});
    }
    return;
  }
  group.last_error.clear();
  const size_t hash = absl::HashOf(*contents);
  if (hash == group.content_hash) return;
  group.content_hash = hash;
  if (const base::Status status = group.loader(*contents); !status.ok()) {
    group.failed.Increment();
    logger_.Error("Files changed but can't be used, what was loaded before stays in use",
                  {{"files", group.name}, {"path", group.paths.front()}, {"err", status}});
    return;
  }
  group.succeeded.Increment();
  logger_.Info("Files changed and were loaded again", {{"files", group.name}, {"path", group.paths.front()}});
}

void FileWatcher::Run() {
  absl::MutexLock lock(&mu_);
  const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
  while (!mu_.AwaitWithTimeout(absl::Condition(&stopping), absl::FromChrono(options_.poll_interval))) {
    for (const auto& group : groups_) LookAt(*group);
  }
}

}  // namespace strata::files
