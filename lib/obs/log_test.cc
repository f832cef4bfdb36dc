#include "lib/obs/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace strata::obs {
namespace {

struct Captured {
  base::FakeClock clock{base::WallTime(std::chrono::microseconds(1'700'000'000'123'456))};
  std::vector<std::string> lines;
  Logger logger;
  explicit Captured(LogFormat format, int verbosity = 0)
      : logger(format, verbosity, clock,
               [this](std::string_view line) { lines.emplace_back(line); }) {}
};

TEST(Log, TextLooksLikeKlog) {
  Captured log(LogFormat::kText);
  log.logger.Info("Serving", {{"address", "127.0.0.1:443"}, {"threads", 2}, {"ok", true}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_THAT(
      log.lines[0],
      testing::MatchesRegex(
          R"(I1114 22:13:20\.123456 +[0-9]+ log_test\.cc:[0-9]+\] "Serving" address="127\.0\.0\.1:443" threads=2 ok=true)"));
}

TEST(Log, JsonHasTheKeysOfComponentBase) {
  Captured log(LogFormat::kJson);
  log.logger.Error("Failed", {{"err", base::NotFoundError("no \"key\"")}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_THAT(
      log.lines[0],
      testing::MatchesRegex(
          R"(\{"ts":1700000000\.123456,"caller":"log_test\.cc:[0-9]+","level":"error","msg":"Failed","v":0,"err":"no \\"key\\""\})"));
}

TEST(Log, AFieldCannotBreakTheLine) {
  Captured log(LogFormat::kText);
  log.logger.Info("Request", {{"path", "/x\nI0101 forged\r\x1b[2J"}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(log.lines[0].find('\n'), std::string::npos);
  EXPECT_THAT(log.lines[0], testing::HasSubstr(R"(path="/x?I0101 forged??[2J")"));
}

TEST(Log, VerboseLinesAppearUpToTheVerbosity) {
  Captured log(LogFormat::kText, 2);
  log.logger.Verbose(2, "shown");
  log.logger.Verbose(3, "hidden");
  EXPECT_EQ(log.lines.size(), 1u);
}

}  // namespace
}  // namespace strata::obs
