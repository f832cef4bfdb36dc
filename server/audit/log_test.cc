#include "server/audit/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace strata::audit {
namespace {

namespace fs = std::filesystem;

class AuditLog : public testing::Test {
 protected:
  AuditLog() { fs::create_directories(folder); }
  ~AuditLog() override { fs::remove_all(folder); }

  std::unique_ptr<Log> Open(Log::Options options) {
    options.path = (folder / "audit.log").string();
    return *Log::Open(options,
                      *Policy::Parse("apiVersion: audit.k8s.io/v1\nkind: Policy\n"
                                     "rules: [{level: Metadata}]"),
                      clock, obs::NullLogger(), metrics);
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

  const fs::path folder = fs::temp_directory_path() / ("strata-audit-" + std::to_string(getpid()));
  base::FakeClock clock;
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
  std::ofstream(folder / "audit-notes.log") << "{}\n";
  auto log = Open({.max_size_mb = 1, .max_age_days = 7});
  for (int i = 0; i < 300; ++i) Write(*log, std::to_string(i), 4000);
  log.reset();
  EXPECT_FALSE(fs::exists(folder / "audit-2001-01-01T00-00-00.000.log"));
  EXPECT_TRUE(fs::exists(folder / "audit-notes.log")) << "somebody else's";
}

TEST_F(AuditLog, WhatDoesNotFitIntoTheQueueIsCounted) {
  auto log = Open({.max_queued = 1});
  for (int i = 0; i < 2000; ++i) Write(*log, std::to_string(i));
  log.reset();
  const auto [lines, files] = Count();
  EXPECT_THAT(metrics.Text(),
              testing::HasSubstr("apiserver_audit_event_total " + std::to_string(lines)));
  if (lines < 2000) {
    EXPECT_THAT(metrics.Text(), testing::HasSubstr("apiserver_audit_error_total{plugin=\"log\"} " +
                                                   std::to_string(2000 - lines)));
  }
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
