#include "server/audit/log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lib/base/file.h"

namespace strata::audit {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kMegabyte = 1 << 20;
constexpr std::chrono::milliseconds kGather{100};
constexpr size_t kEnough = 500;

// lumberjack.go backupName: audit-2026-11-23T08-41-09.123.log.
std::string BackupName(const fs::path& path, base::WallTime now) {
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return fmt::format("{}-{:%Y-%m-%dT%H-%M-%S}.{:03}{}", path.stem().string(),
                     fmt::gmtime(static_cast<std::time_t>(millis / 1000)), millis % 1000,
                     path.extension().string());
}

bool IsBackup(const fs::path& path, const std::string& name) {
  constexpr std::string_view kTime = "0000-00-00T00-00-00.000";
  const std::string stem = path.stem().string() + "-", extension = path.extension().string();
  if (!name.starts_with(stem) || !name.ends_with(extension) ||
      name.size() != stem.size() + kTime.size() + extension.size())
    return false;
  return std::equal(
      kTime.begin(), kTime.end(), name.begin() + static_cast<ptrdiff_t>(stem.size()),
      [](char form, char c) { return form == '0' ? c >= '0' && c <= '9' : c == form; });
}

}  // namespace

// Where events go. The writer's thread's, but for what is said of losses.
class Log::File final : public obs::LineWriter::Sink {
 public:
  File(const Options& options, const base::Clock& clock, const obs::Logger& log)
      : options_(options), clock_(clock), log_(log) {}
  ~File() override {
    if (file_ > STDOUT_FILENO) close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  base::Status Open();
  size_t Write(std::string_view lines) override;
  bool TellLost(uint64_t lines) override;
  // The queue is full. Any thread's.
  void TellLosing();

 private:
  // Whole lines from the start of `lines`: as many as the file has room for. None: the file has to
  // be turned over first.
  std::string_view Fitting(std::string_view lines) const;
  void TurnOver();
  void RemoveOld() const;

  const Options options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  int file_ = -1;
  bool is_regular_ = false;  // nothing else is turned over
  int64_t size_ = 0;
  obs::LineFile lines_{-1};
  bool failing_ = false;
  std::atomic<bool> losing_ = false;
};

base::Status Log::File::Open() {
  if (options_.path == "-") {
    file_ = STDOUT_FILENO;
    lines_ = obs::LineFile(file_);
    return base::OkStatus();
  }
  // Of a pipe the other end is opened too: then neither a start nor an event depends on whether
  // somebody reads (fifo(7)).
  struct stat status {};
  const bool is_pipe = stat(options_.path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  const int opened = open(options_.path.c_str(),
                          (is_pipe ? O_RDWR : O_WRONLY) | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (opened < 0 || fstat(opened, &status) != 0) {
    return base::UnavailableError(fmt::format("{}: {}", options_.path, std::strerror(errno)));
  }
  file_ = opened;
  is_regular_ = S_ISREG(status.st_mode);
  size_ = status.st_size;
  lines_ = obs::LineFile(file_);
  return base::OkStatus();
}

base::StatusOr<std::unique_ptr<Log>> Log::Open(const Options& options, Policy policy,
                                               const base::Clock& clock, const obs::Logger& log,
                                               obs::Metrics& metrics) {
  auto file = std::make_unique<File>(options, clock, log);
  STRATA_RETURN_IF_ERROR(file->Open());
  return std::unique_ptr<Log>(new Log(options, std::move(policy), std::move(file), metrics));
}

Log::Log(const Options& options, Policy policy, std::unique_ptr<File> file, obs::Metrics& metrics)
    : policy_(std::move(policy)),
      events_(metrics.AddCounter("apiserver_audit_event_total",
                                 "Audit events generated and sent to the audit backend.", {})),
      file_(std::move(file)),
      writer_({.max_bytes = options.max_queued_bytes,
               .max_lines = options.max_queued,
               .gather = kGather,
               .enough = kEnough},
              *file_,
              metrics.AddGauge("strata_audit_waiting_bytes",
                               "Bytes of audit events that aren't written yet."),
              metrics.AddCounter(
                  "apiserver_audit_error_total",
                  "Audit events that were not written: the queue was full, or the file failed.",
                  {{"plugin", "log"}})) {
  metrics.AddCounter("apiserver_audit_requests_rejected_total",
                     "Requests that were refused because they couldn't be audited: none ever is.");
}

Log::~Log() = default;

void Log::Write(const Event& event) {
  thread_local std::string line;  // keeps its room
  line.clear();
  AppendLine(event, line);
  if (writer_.Push(line)) return events_.Increment();
  file_->TellLosing();
}

void Log::File::TellLosing() {
  if (losing_.exchange(true)) return;
  log_.Error(
      "Audit events are lost: they come faster than they are written, or --audit-log-path takes "
      "nothing",
      {{"path", options_.path}});
}

bool Log::File::TellLost(uint64_t lines) {
  losing_ = false;
  log_.Warning("Audit events were lost", {{"path", options_.path}, {"events", lines}});
  return true;
}

std::string_view Log::File::Fitting(std::string_view lines) const {
  const int64_t limit = options_.max_size_mb * kMegabyte;
  const size_t room = static_cast<size_t>(std::max<int64_t>(0, limit - size_));
  if (limit == 0 || !is_regular_ || lines.size() <= room) return lines;
  const size_t end = lines.substr(0, room).rfind('\n');
  if (end != std::string_view::npos) return lines.substr(0, end + 1);
  // The first line is larger than what is left of the file; if that is all of it, it has it alone.
  return size_ > 0 ? std::string_view() : lines.substr(0, lines.find('\n') + 1);
}

size_t Log::File::Write(std::string_view lines) {
  size_t lost = 0;
  while (!lines.empty()) {
    const std::string_view fitting = Fitting(lines);
    if (fitting.empty()) {
      TurnOver();
      continue;
    }
    lines.remove_prefix(fitting.size());
    const obs::LineFile::Written written = lines_.Write(fitting);
    size_ += static_cast<int64_t>(written.bytes);
    lost += written.lost_lines;
    const bool failed = written.error != 0;
    if (failed && !failing_) {
      log_.Error(
          "The audit log can't be written; events are lost until it can",
          {{"path", options_.path}, {"err", std::string_view(std::strerror(written.error))}});
    }
    failing_ = failed;
  }
  return lost;
}

// A file that can't be turned over is written on. One that somebody has taken away, with its folder
// or alone, is made anew (lumberjack.go openNew).
void Log::File::TurnOver() {
  const fs::path path(options_.path);
  const fs::path backup = path.parent_path() / BackupName(path, clock_.WallNow());
  std::error_code error;
  fs::rename(path, backup, error);
  if (error == std::errc::no_such_file_or_directory) {
    error.clear();
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  }
  const int old = file_;
  if (const base::Status status = error ? base::UnavailableError(error.message()) : Open();
      !status.ok()) {
    log_.Error("The audit log can't be turned over", {{"path", options_.path}, {"err", status}});
    file_ = old;
    size_ = 0;  // for another try only after as many bytes
    return;
  }
  close(old);
  RemoveOld();
}

void Log::File::RemoveOld() const {
  const fs::path path(options_.path);
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  std::error_code error;
  std::vector<fs::path> backups;
  for (const auto& entry : base::ListFolder(folder, error)) {
    if (IsBackup(path, entry.path().filename().string())) backups.push_back(entry.path());
  }
  // Newest first: the names hold the time.
  std::sort(backups.rbegin(), backups.rend());
  const auto oldest = options_.max_age_days == 0
                          ? base::WallTime::min()
                          : clock_.WallNow() - std::chrono::hours(24 * options_.max_age_days);
  for (size_t i = 0; i < backups.size(); ++i) {
    const bool too_many =
        options_.max_backups > 0 && i >= static_cast<size_t>(options_.max_backups);
    const fs::path limit = folder / BackupName(path, std::max(oldest, base::WallTime{}));
    const bool too_old = options_.max_age_days > 0 && backups[i] < limit;
    if (too_many || too_old) fs::remove(backups[i], error);
  }
}

}  // namespace strata::audit
