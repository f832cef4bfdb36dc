#include "lib/transport/files/file_watcher.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <absl/hash/hash.h>
#include <absl/time/time.h>

#include <cstdint>
#include <tuple>
#include <utility>

#include "lib/base/file.h"

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

struct FileWatcher::Group {
  std::string name;
  Lister list;
  FilesLoader loader;
  std::vector<Identity> identities;
  size_t content_hash = 0;  // of what the loader saw last
  std::string last_error;   // of reading; empty when the last look could read everything
  int looks_until_read = 0;
  obs::Counter succeeded, failed;

  static std::vector<Identity> Identify(const std::vector<std::string>& paths) {
    std::vector<Identity> now;
    for (const std::string& path : paths) now.push_back(IdentityOf(path));
    return now;
  }
  static base::StatusOr<std::vector<File>> Read(const std::vector<std::string>& paths,
                                                size_t max_bytes) {
    std::vector<File> files;
    for (const std::string& path : paths) {
      STRATA_ASSIGN_OR_RETURN(std::string content, base::ReadFile(path, max_bytes));
      files.push_back({path, std::move(content)});
    }
    return files;
  }
  static size_t HashOf(const std::vector<File>& files) {
    size_t hash = files.size();
    for (const File& file : files) hash = absl::HashOf(hash, file.path, file.content);
    return hash;
  }
};

FileWatcher::FileWatcher(FileWatcherOptions options, const obs::Logger& logger,
                         obs::Metrics& metrics)
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

base::Status FileWatcher::Watch(std::string_view name, std::vector<std::string> paths,
                                Loader loader) {
  return WatchListed(
      name,
      [paths = std::move(paths)]() -> base::StatusOr<std::vector<std::string>> { return paths; },
      [loader = std::move(loader)](const std::vector<File>& files) {
        std::vector<std::string> contents;
        for (const File& file : files) contents.push_back(file.content);
        return loader(contents);
      });
}

base::Status FileWatcher::WatchListed(std::string_view name, Lister list, FilesLoader loader) {
  const auto counter = [&](const char* result) {
    return metrics_.AddCounter("strata_file_reloads_total",
                               "Files that changed and were loaded again, by result.",
                               {{"files", std::string(name)}, {"result", result}});
  };
  auto group = std::make_unique<Group>(Group{.name = std::string(name),
                                             .list = std::move(list),
                                             .loader = std::move(loader),
                                             .identities = {},
                                             .last_error = {},
                                             .looks_until_read = options_.looks_between_reads,
                                             .succeeded = counter("success"),
                                             .failed = counter("error")});
  absl::MutexLock lock(&mu_);
  STRATA_ASSIGN_OR_RETURN(const std::vector<std::string> paths, group->list());
  // Before reading: a change in between is then seen by the next look.
  group->identities = Group::Identify(paths);
  STRATA_ASSIGN_OR_RETURN(const auto files, Group::Read(paths, options_.max_file_bytes));
  STRATA_RETURN_IF_ERROR(group->loader(files));
  group->content_hash = Group::HashOf(files);
  groups_.push_back(std::move(group));
  return base::OkStatus();
}

void FileWatcher::Poll() {
  absl::MutexLock lock(&mu_);
  for (const auto& group : groups_) LookAt(*group);
}

// Gone for a moment while it is replaced, or for good: either way what is loaded stays.
void FileWatcher::Unreadable(Group& group, const base::Status& status) {
  // chmod and chown change nothing that an Identity has.
  group.looks_until_read = 1;
  if (group.last_error == base::Message(status)) return;
  group.last_error = base::Message(status);
  group.failed.Increment();
  logger_.Warning("Could not read files again, what was loaded before stays in use",
                  {{"files", group.name}, {"err", status}});
}

void FileWatcher::LookAt(Group& group) {
  const auto paths = group.list();
  if (!paths.ok()) return Unreadable(group, paths.status());
  auto identities = Group::Identify(*paths);
  if (identities == group.identities && --group.looks_until_read > 0) return;
  group.looks_until_read = options_.looks_between_reads;
  group.identities = std::move(identities);
  const auto files = Group::Read(*paths, options_.max_file_bytes);
  if (!files.ok()) return Unreadable(group, files.status());
  group.last_error.clear();
  const size_t hash = Group::HashOf(*files);
  if (hash == group.content_hash) return;
  group.content_hash = hash;
  const std::string_view path =
      paths->empty() ? std::string_view() : std::string_view(paths->front());
  if (const base::Status status = group.loader(*files); !status.ok()) {
    group.failed.Increment();
    logger_.Error("Files changed but can't be used, what was loaded before stays in use",
                  {{"files", group.name}, {"path", path}, {"err", status}});
    return;
  }
  group.succeeded.Increment();
  logger_.Info("Files changed and were loaded again", {{"files", group.name}, {"path", path}});
}

void FileWatcher::Run() {
  absl::MutexLock lock(&mu_);
  const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
  while (
      !mu_.AwaitWithTimeout(absl::Condition(&stopping), absl::FromChrono(options_.poll_interval))) {
    for (const auto& group : groups_) LookAt(*group);
  }
}

}  // namespace strata::files
