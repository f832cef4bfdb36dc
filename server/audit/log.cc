#include "server/audit/log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace strata::audit {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kMegabyte = 1 << 20;
constexpr std::chrono::milliseconds kGather{100};
constexpr size_t kEnough = 500;
constexpr size_t kWriteBytes = 1 << 20;

// lumberjack.go backupName: audit-2026-11-23T08-41-09.123.log.
std::string BackupName(const fs::path& path, base::WallTime now) {
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return fmt::format("{}-{:%Y-%m-%dT%H-%M-%S}.{:03}{}", path.stem().string(),
                     fmt::gmtime(static_cast<std::time_t>(millis / 1000)), millis % 1000,
                     path.extension().string());
}

bool IsBackup(const fs::path& path, const std::string& name) {
  const std::string stem = path.stem().string() + "-", extension = path.extension().string();
  return name.starts_with(stem) && name.ends_with(extension) &&
         name.size() == stem.size() + std::strlen("2026-11-23T08-41-09.123") + extension.size();
}

}  // namespace

// The file, and where it stands. The writer's thread's own, but for EndReports.
class Log::File {
 public:
  File(const Options& options, const base::Clock& clock, const obs::Logger& log)
      : options_(options), clock_(&clock), log_(&log) {}
  ~File() {
    if (file_ > STDOUT_FILENO) close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  base::Status Open();
  // How many lines couldn't be written.
  size_t Write(std::string_view lines);
  // The log is going: what happens to the file from now on, nobody hears.
  void EndReports() ABSL_LOCKS_EXCLUDED(mu_) {
    base::MutexLock lock(&mu_);
    log_ = nullptr;
    clock_ = nullptr;
  }

 private:
  // Whole lines from the start of `lines`: as many as the file has room for and one write should
  // hold. None: the file has to be turned over first.
  std::string_view Fitting(std::string_view lines) const;
  void TurnOver();
  void RemoveOld();
  void Report(const obs::Event& event, std::string_view error) ABSL_LOCKS_EXCLUDED(mu_) {
    base::MutexLock lock(&mu_);
    if (log_ != nullptr) log_->Error(event, {{"path", options_.path}, {"err", error}});
  }
  base::WallTime Now() ABSL_LOCKS_EXCLUDED(mu_) {
    base::MutexLock lock(&mu_);
    return clock_ == nullptr ? base::WallTime() : clock_->WallNow();
  }

  const Options options_;
  int file_ = -1;
  bool is_regular_ = false;  // others aren't turned over
  int64_t size_ = 0;
  bool failing_ = false;

  base::Mutex mu_;
  const base::Clock* clock_ ABSL_GUARDED_BY(mu_);  // null, like log_: it is gone
  const obs::Logger* log_ ABSL_GUARDED_BY(mu_);
};

base::Status Log::File::Open() {
  if (options_.path == "-") {
    file_ = STDOUT_FILENO;
    return base::OkStatus();
  }
  // A pipe that nobody reads is an error, and not waited for.
  const int opened =
      open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  struct stat status {};
  if (opened < 0 || fstat(opened, &status) != 0 || fcntl(opened, F_SETFL, O_APPEND) != 0) {
    const int error = errno;
    if (opened >= 0) close(opened);
    return base::UnavailableError(
        fmt::format("{}: {}", options_.path,
                    error == ENXIO ? "it is a pipe that nobody reads" : std::strerror(error)));
  }
  file_ = opened;
  is_regular_ = S_ISREG(status.st_mode);
  size_ = status.st_size;
  return base::OkStatus();
}

base::StatusOr<std::unique_ptr<Log>> Log::Open(const Options& options, Policy policy,
                                               const base::Clock& clock, const obs::Logger& log,
                                               obs::Metrics& metrics) {
  auto file = std::make_shared<File>(options, clock, log);
  STRATA_RETURN_IF_ERROR(file->Open());
  return std::unique_ptr<Log>(new Log(options, std::move(policy), std::move(file), metrics));
}

Log::Log(const Options& options, Policy policy, std::shared_ptr<File> file, obs::Metrics& metrics)
    : policy_(std::move(policy)),
      file_(file),
      events_(metrics.AddCounter("apiserver_audit_event_total",
                                 "Audit events generated and sent to the audit backend.", {})),
      writer_(std::make_unique<obs::LineWriter>(
          obs::LineWriter::Options{.max_bytes = options.max_queued_bytes,
                                   .max_lines = options.max_queued,
                                   .gather = kGather,
                                   .enough = kEnough},
          [file = std::move(file)](std::string_view lines) { return file->Write(lines); })) {
  metrics.AddCounterFunction(
      "apiserver_audit_error_total",
      "Audit events that were not written: the queue was full, or the file failed.",
      {{"plugin", "log"}}, [stats = writer_->stats()] {
        const auto now = stats();
        return static_cast<double>(now.dropped + now.failed);
      });
  metrics.AddGaugeFunction(
      "strata_audit_queue_bytes", "Bytes of audit events that wait.", {},
      [stats = writer_->stats()] { return static_cast<double>(stats().bytes); });
  metrics.AddCounter("apiserver_audit_requests_rejected_total",
                     "Requests that were refused because they couldn't be audited: none ever is.");
}

Log::~Log() {
  writer_.reset();
  file_->EndReports();
}

void Log::Write(const Event& event) {
  thread_local std::string line;  // keeps its room
  line.clear();
  AppendLine(event, line);
  if (writer_->Push(line)) events_.Increment();
}

std::string_view Log::File::Fitting(std::string_view lines) const {
  size_t room = kWriteBytes;
  const int64_t limit = options_.max_size_mb * kMegabyte;
  const bool bounded = limit > 0 && is_regular_;
  if (bounded) room = std::min(room, static_cast<size_t>(std::max<int64_t>(0, limit - size_)));
  if (lines.size() <= room) return lines;
  const size_t end = lines.substr(0, room).rfind('\n');
  if (end != std::string_view::npos) return lines.substr(0, end + 1);
  // The first line alone is larger than a write, or than what is left of the file.
  const std::string_view first = lines.substr(0, lines.find('\n') + 1);
  const bool turns_over =
      bounded && size_ > 0 && size_ + static_cast<int64_t>(first.size()) > limit;
  return turns_over ? std::string_view() : first;
}

size_t Log::File::Write(std::string_view lines) {
  size_t failed = 0;
  while (!lines.empty()) {
    std::string_view rest = Fitting(lines);
    if (rest.empty()) {
      TurnOver();
      continue;
    }
    lines.remove_prefix(rest.size());
    const std::string_view all = rest;
    while (!rest.empty()) {
      const ssize_t written = write(file_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) break;
      rest.remove_prefix(static_cast<size_t>(written));
      size_ += written;
    }
    if (!rest.empty()) {
      failed += static_cast<size_t>(std::count(all.begin(), all.end(), '\n'));
      const char* const error = std::strerror(errno);
      if (!std::exchange(failing_, true))
        Report("The audit log can't be written; events are lost until it can", error);
    } else {
      failing_ = false;
    }
  }
  return failed;
}

// A file that can't be turned over is written on.
void Log::File::TurnOver() {
  const fs::path path(options_.path);
  const fs::path backup = path.parent_path() / BackupName(path, Now());
  std::error_code error;
  fs::rename(path, backup, error);
  const int old = file_;
  if (const base::Status status = error ? base::UnavailableError(error.message()) : Open();
      !status.ok()) {
    Report("The audit log can't be turned over", base::Message(status));
    file_ = old;
    size_ = 0;  // for another try only after as many bytes
    return;
  }
  close(old);
  RemoveOld();
}

void Log::File::RemoveOld() {
  const fs::path path(options_.path);
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  std::error_code error;
  std::vector<fs::path> backups;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (IsBackup(path, entry.path().filename().string())) backups.push_back(entry.path());
  }
  // Newest first: the names hold the time.
  std::sort(backups.rbegin(), backups.rend());
  const auto oldest = options_.max_age_days == 0
                          ? base::WallTime::min()
                          : Now() - std::chrono::hours(24 * options_.max_age_days);
  for (size_t i = 0; i < backups.size(); ++i) {
    const bool too_many =
        options_.max_backups > 0 && i >= static_cast<size_t>(options_.max_backups);
    const fs::path limit = folder / BackupName(path, std::max(oldest, base::WallTime{}));
    const bool too_old = options_.max_age_days > 0 && backups[i] < limit;
    if (too_many || too_old) fs::remove(backups[i], error);
  }
}

}  // namespace strata::audit
