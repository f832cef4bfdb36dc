// Files that are read again when they change: certificates, CAs, tokens, roles.
//
// A change is noticed by polling what the path leads to, so editors that replace a file, `mv`, and
// the swap of a mounted volume's `..data` symlink are all seen; the content's hash decides whether
// anything is done about it.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"

namespace strata::files {

struct FileWatcherOptions {
  // Between two looks at each file. Zero: only Poll looks.
  std::chrono::milliseconds poll_interval{3'000};
  // The content is read and compared at every n-th look even if the file's identity and time are as
  // before.
  int looks_between_reads = 20;
  size_t max_file_bytes = 64 << 20;
};

// All methods from any thread; loaders run on the watcher's thread (the first time, on the
// caller's), one at a time.
class FileWatcher {
 public:
  // Takes over the contents of a group's files, in the order of its paths. On an error whatever was
  // loaded before stays in use; it is logged once for each content that is bad.
  using Loader = std::function<base::Status(const std::vector<std::string>& contents)>;

  struct File {
    std::string path;
    std::string content;
  };
  using FilesLoader = std::function<base::Status(const std::vector<File>& files)>;
  // Which files there are, at the moment. Called by the thread that looks.
  using Lister = std::function<base::StatusOr<std::vector<std::string>>()>;

  FileWatcher(FileWatcherOptions options, const obs::Logger& logger, obs::Metrics& metrics);
  // No loader runs after this.
  ~FileWatcher();

  // Loads the files now and returns how that went; on success loads them again whenever one of them
  // has changed. They are one unit: a certificate without its key is not loaded. `name` is for the
  // log and metrics: a constant.
  base::Status Watch(std::string_view name, std::vector<std::string> paths, Loader loader)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The same for files that come and go, as those of a folder: `list` is asked at each look.
  base::Status WatchListed(std::string_view name, Lister list, FilesLoader loader)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Looks at all files now.
  void Poll() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Group;

  void Run();
  void LookAt(Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unreadable(Group& group, const base::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const FileWatcherOptions options_;
  const obs::Logger& logger_;
  obs::Metrics& metrics_;
  absl::Mutex mu_;
  std::vector<std::unique_ptr<Group>> groups_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace strata::files
