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

namespace strata::audit {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kMegabyte = 1 << 20;
constexpr std::chrono::milliseconds kGather{100};
constexpr size_t kEnough = 500;
constexpr size_t kWriteBytes = 1 << 20;
constexpr size_t kKeptBytes = 4 << 20;

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

base::StatusOr<std::unique_ptr<Log>> Log::Open(const Options& options, Policy policy,
                                               const base::Clock& clock, const obs::Logger& log,
                                               obs::Metrics& metrics) {
  std::unique_ptr<Log> opened(new Log(options, std::move(policy), clock, log, metrics));
  STRATA_RETURN_IF_ERROR(opened->OpenFile());
  opened->thread_ = std::thread([raw = opened.get()] { raw->Run(); });
  return opened;
}

Log::Log(const Options& options, Policy policy, const base::Clock& clock, const obs::Logger& log,
         obs::Metrics& metrics)
    : options_(options),
      policy_(std::move(policy)),
      clock_(clock),
      log_(log),
      events_(metrics.AddCounter("apiserver_audit_event_total",
                                 "Audit events generated and sent to the audit backend.", {})),
      dropped_(metrics.AddCounter(
          "apiserver_audit_error_total",
          "Audit events that were not written: the queue was full, or the file failed.",
          {{"plugin", "log"}})) {
  metrics.AddCounter("apiserver_audit_requests_rejected_total",
                     "Requests that were refused because they couldn't be audited: none ever is.");
}

Log::~Log() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    enough_.Signal();
  }
  if (thread_.joinable()) thread_.join();
  if (file_ > STDOUT_FILENO) close(file_);
}

base::Status Log::OpenFile() {
  if (options_.path == "-") {
    file_ = STDOUT_FILENO;
    return base::OkStatus();
  }
  file_ = open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  struct stat status {};
  if (file_ < 0 || fstat(file_, &status) != 0) {
    return base::UnavailableError(fmt::format("{}: {}", options_.path, std::strerror(errno)));
  }
  size_ = status.st_size;
  return base::OkStatus();
}

void Log::Write(const Event& event) {
  thread_local std::string line;  // keeps its room
  line.clear();
  AppendLine(event, line);
  base::MutexLock lock(&mu_);
  if (queued_ >= options_.max_queued) return dropped_.Increment();
  events_.Increment();
  queue_ += line;
  if (++queued_ == kEnough) enough_.Signal();
}

void Log::Run() {
  std::string lines;
  for (;;) {
    bool last;
    {
      base::MutexLock lock(&mu_);
      // Events are gathered for a moment: one wake-up and one write for many.
      const auto until = std::chrono::steady_clock::now() + kGather;
      while (!stopping_ && queued_ < kEnough && enough_.WaitUntil(mu_, until)) {
      }
      lines.swap(queue_);
      queued_ = 0;
      last = stopping_;
    }
    WriteAll(lines);
    if (last) return;
    // What a rush took isn't kept for ever.
    if (lines.capacity() > kKeptBytes) lines = {};
    lines.clear();
  }
}

std::string_view Log::Fitting(std::string_view lines) const {
  size_t room = kWriteBytes;
  const int64_t limit = options_.max_size_mb * kMegabyte;
  const bool bounded = limit > 0 && file_ != STDOUT_FILENO;
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

void Log::WriteAll(std::string_view lines) {
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
      dropped_.Increment(static_cast<double>(std::count(all.begin(), all.end(), '\n')));
      if (!std::exchange(failing_, true)) {
        log_.Error("The audit log can't be written; events are lost until it can",
                   {{"path", options_.path}, {"err", std::string_view(std::strerror(errno))}});
      }
    } else {
      failing_ = false;
    }
  }
}

// A file that can't be turned over is written on.
void Log::TurnOver() {
  const fs::path path(options_.path);
  const fs::path backup = path.parent_path() / BackupName(path, clock_.WallNow());
  std::error_code error;
  fs::rename(path, backup, error);
  const int old = file_;
  if (const base::Status status = error ? base::UnavailableError(error.message()) : OpenFile();
      !status.ok()) {
    log_.Error("The audit log can't be turned over", {{"path", options_.path}, {"err", status}});
    file_ = old;
    size_ = 0;  // for another try only after as many bytes
    return;
  }
  close(old);
  RemoveOld();
}

void Log::RemoveOld() const {
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
