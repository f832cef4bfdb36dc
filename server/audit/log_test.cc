#include "server/audit/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "test/support/metric.h"
#include "test/support/temp_dir.h"

namespace strata::audit {
namespace {

namespace fs = std::filesystem;

class AuditLog : public testing::Test {
 protected:
  std::unique_ptr<Log> Open(Log::Options options) {
    options.path = (folder / "audit.log").string();
    return *Log::Open(options,
                      *Policy::Parse("apiVersion: audit.k8s.io/v1\nkind: Policy\n"
                                     "rules: [{level: Metadata}]"),
                      clock, logger, metrics);
  }
  void Write(Log& log, const std::string& id, size_t bytes = 0) {
    request.target = "/" + std::string(bytes, 'x');
    Event event;
    event.audit_id = id;
    const std::string description = Describe(request, info, &user, nullptr);
    event.description = description;
    log.Write(event);
  }
  // Lines of all files, and how many files there are.
  std::pair<size_t, size_t> Count() const {
    size_t lines = 0, files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::ifstream file(entry.path());
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      EXPECT_TRUE(text.empty() || text.ends_with("}\n")) << "whole lines";
      lines += static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
      ++files;
    }
    return {lines, files};
  }

  const testing_support::TempDir dir;
  const fs::path folder = dir.path();
  // The log's lines from their message on.
  std::vector<std::string> Said() const {
    base::MutexLock lock(&mu);
    return said;
  }
  double Metric(const std::string& name) const { return testing_support::MetricOf(metrics, name); }

  mutable base::Mutex mu;
  std::vector<std::string> said ABSL_GUARDED_BY(mu);
  base::FakeClock clock;
  const obs::Logger logger{obs::LogFormat::kText, 0, clock, [this](std::string_view line) {
                             base::MutexLock lock(&mu);
                             said.emplace_back(line.substr(line.find("] ") + 2));
                           }};
  obs::Metrics metrics;
  http::Request request;
  const api::RequestInfo info;
  const auth::UserInfo user;
};

TEST_F(AuditLog, HoldsALineForEachEventWhenItEnds) {
  auto log = Open({});
  for (int i = 0; i < 1000; ++i) Write(*log, std::to_string(i));
  log.reset();
  EXPECT_EQ(Count(), std::pair(size_t{1000}, size_t{1}));
  log = Open({});
  Write(*log, "more");
  log.reset();
  EXPECT_EQ(Count(), std::pair(size_t{1001}, size_t{1})) << "a restart goes on in the file";
}

TEST_F(AuditLog, IsTurnedOverBySizeAndKeepsTheNewestBackups) {
  for (int round = 0; round < 5; ++round) {
    auto log = Open({.max_size_mb = 1, .max_backups = 2});
    for (int i = 0; i < 300; ++i) Write(*log, std::to_string(i), 4000);
    log.reset();
    clock.Advance(std::chrono::seconds(1));
  }
  const auto [lines, files] = Count();
  EXPECT_EQ(files, 3u);
  EXPECT_LT(lines, 1500u);
  for (const auto& entry : fs::directory_iterator(folder))
    EXPECT_LE(entry.file_size(), uintmax_t{1} << 20) << entry.path();
}

TEST_F(AuditLog, OldBackupsGo) {
  std::ofstream(folder / "audit-2001-01-01T00-00-00.000.log") << "{}\n";
  for (const char* others : {"audit-notes.log", "audit-1st-notes-of-november-9.log"})
    std::ofstream(folder / others) << "{}\n";
  auto log = Open({.max_size_mb = 1, .max_age_days = 7});
  for (int i = 0; i < 300; ++i) Write(*log, std::to_string(i), 4000);
  log.reset();
  EXPECT_FALSE(fs::exists(folder / "audit-2001-01-01T00-00-00.000.log"));
  EXPECT_TRUE(fs::exists(folder / "audit-notes.log")) << "somebody else's";
  EXPECT_TRUE(fs::exists(folder / "audit-1st-notes-of-november-9.log")) << "as long as a time";
}

TEST_F(AuditLog, WhatDoesNotFitIntoTheQueueIsCounted) {
  // A pipe that is full: nothing is written before it is read.
  ASSERT_EQ(mkfifo((folder / "audit.log").c_str(), 0600), 0);
  const int pipe = open((folder / "audit.log").c_str(), O_RDWR | O_NONBLOCK);
  std::string bytes(4096, '.');
  size_t filled = 0;
  while (write(pipe, bytes.data(), bytes.size()) > 0) filled += bytes.size();
  constexpr int kEvents = 2000;
  auto log = Open({.max_queued = 10});
  for (int i = 0; i < kEvents; ++i) Write(*log, std::to_string(i));
  const double lost = Metric("apiserver_audit_error_total{plugin=\"log\"}");
  const double taken = Metric("apiserver_audit_event_total");
  EXPECT_EQ(taken + lost, kEvents);
  EXPECT_GE(taken, 10);
  EXPECT_LE(taken, 20) << "ten wait, and ten more may be being written";
  for (; filled > 0; filled -= bytes.size())
    ASSERT_EQ(read(pipe, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  log.reset();
  std::string lines(65'536, '\0');
  lines.resize(static_cast<size_t>(std::max<ssize_t>(0, read(pipe, lines.data(), lines.size()))));
  close(pipe);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), taken);
  EXPECT_EQ(Metric("apiserver_audit_error_total{plugin=\"log\"}"), lost);
}

// Reads what a pipe has and will get, until `end` of it.
size_t ReadUntil(int pipe, const std::string& end) {
  std::string text, piece(1 << 20, '\0');
  while (!text.ends_with(end)) {
    const ssize_t size = read(pipe, piece.data(), piece.size());
    if (size <= 0) return 0;
    text.append(piece, 0, static_cast<size_t>(size));
  }
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(AuditLog, APipeThatNobodyReadsCostsSoManyBytesAndIsWrittenOnceSomebodyDoes) {
  ASSERT_EQ(mkfifo((folder / "audit.log").c_str(), 0600), 0);
  constexpr size_t kBytes = 1 << 20;
  auto log = Open({.max_size_mb = 1, .max_queued_bytes = kBytes});
  constexpr int kEvents = 3000;
  for (int i = 0; i < kEvents; ++i) Write(*log, std::to_string(i), 3000);
  const double lost = Metric("apiserver_audit_error_total{plugin=\"log\"}");
  EXPECT_GT(lost, 1000);
  EXPECT_EQ(Metric("apiserver_audit_event_total"), kEvents - lost);
  EXPECT_GT(Metric("strata_audit_waiting_bytes"), kBytes / 2);
  EXPECT_LE(Metric("strata_audit_waiting_bytes"), kBytes);
  EXPECT_THAT(Said(), testing::ElementsAre(testing::StartsWith("\"Audit events are lost: ")));

  const int pipe = open((folder / "audit.log").c_str(), O_RDONLY);
  size_t lines = 0;
  std::thread reader([&] { lines = ReadUntil(pipe, "\"last\"}}\n"); });
  while (Metric("strata_audit_waiting_bytes") > 0) std::this_thread::yield();
  Event last;
  last.decision = "allow";
  last.reason = "last";  // which ends the line
  log->Write(last);
  reader.join();
  close(pipe);
  log.reset();
  EXPECT_EQ(lines, static_cast<size_t>(kEvents - lost) + 1);
  double told = 0;
  for (const std::string& line : Said()) {
    if (line.starts_with("\"Audit events were lost\""))
      told += std::stod(line.substr(line.rfind('=') + 1));
  }
  EXPECT_EQ(told, lost);
  EXPECT_TRUE(fs::is_fifo(folder / "audit.log")) << "it isn't turned over";
}

TEST_F(AuditLog, AFullDiskLosesEventsAndSaysSoOnce) {
  fs::create_symlink("/dev/full", folder / "audit.log");
  for (const int round : {0, 1}) {
    auto log = Open({});
    for (int i = 0; i < 10; ++i) Write(*log, std::to_string(i));
    log.reset();
    EXPECT_EQ(Metric("apiserver_audit_error_total{plugin=\"log\"}"), 10 * (round + 1));
  }
  EXPECT_THAT(Said(),
              testing::Each(testing::AllOf(testing::StartsWith("\"The audit log can't be written"),
                                           testing::EndsWith("err=\"No space left on device\""))));
  EXPECT_EQ(Said().size(), 2u);
  fs::remove(folder / "audit.log");
}

TEST_F(AuditLog, AFolderThatWasRemovedIsMadeAnewAtTheNextTurn) {
  auto log = Open({.max_size_mb = 1});
  fs::remove_all(folder);
  for (int i = 0; i < 300; ++i) Write(*log, std::to_string(i), 4000);
  log.reset();
  const auto [lines, files] = Count();
  EXPECT_EQ(files, 1u);
  EXPECT_GT(lines, 20u);
  EXPECT_THAT(Said(), testing::IsEmpty());
}

TEST_F(AuditLog, AFileThatCannotBeOpenedIsAnError) {
  const auto log = Log::Open({.path = "/nowhere/audit.log"},
                             *Policy::Parse("apiVersion: audit.k8s.io/v1\nkind: Policy\n"
                                            "rules: [{level: None}]"),
                             clock, obs::NullLogger(), metrics);
  EXPECT_THAT(std::string(base::Message(log.status())),
              testing::StartsWith("/nowhere/audit.log: "));
}

}  // namespace
}  // namespace strata::audit
