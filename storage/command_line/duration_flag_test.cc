#include "storage/command_line/duration_flag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include <string>

#include "storage/command_line/parse.h"

namespace strata::command_line {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::HasSubstr;

class DurationFlag : public testing::Test {
 protected:
  DurationFlag() {
    AddDuration(app, "--time", time, "");
    AddDuration(app, "--pause", pause, "", Zero::kAllowed);
    AddDuration(app, "--interval", interval, "")
        ->check(DurationRange(milliseconds(100), hours(24)));
  }

  // The line on stderr; empty: it was parsed.
  std::string Error(const std::string& argument) {
    app.clear();
    testing::internal::CaptureStderr();
    (void)Parse(app, {argument});
    return testing::internal::GetCapturedStderr();
  }

  CLI::App app{"", "program"};
  milliseconds time{90'000}, pause{0}, interval{36'000'000};
};

TEST_F(DurationFlag, WhatIsNotZeroIsNotRoundedToIt) {
  EXPECT_EQ(Error("--time=1m30.5s"), "");
  EXPECT_EQ(time, milliseconds(90'500));
  EXPECT_EQ(Error("--time=1ns"), "");
  EXPECT_EQ(time, milliseconds(1));
  EXPECT_EQ(Error("--pause=0"), "");
  EXPECT_EQ(pause, milliseconds(0));
}

TEST_F(DurationFlag, MistakesAreSaidInGosWords) {
  const struct {
    const char *argument, *said;
  } kCases[] = {
      {"--time=10000", "--time: time: missing unit in duration \"10000\""},
      {"--time=1d", "--time: time: unknown unit \"d\" in duration \"1d\""},
      {"--time=", "--time: time: invalid duration \"\""},
      {"--time=0s", "--time: 0s: it must be longer than nothing"},
      {"--pause=-1s", "--pause: -1s is negative"},
      {"--interval=99ms", "--interval: 99ms isn't from 100ms to 24h"},
      {"--interval=24h1ns", "--interval: 24h1ns isn't from 100ms to 24h"},
      {"--interval=soon", "--interval: time: invalid duration \"soon\""},
  };
  for (const auto& c : kCases)
    EXPECT_EQ(Error(c.argument), std::string("program: ") + c.said + "\n");
}

TEST_F(DurationFlag, HelpShowsWhatItIsOtherwise) {
  EXPECT_THAT(app.help(), HasSubstr("--time DURATION=90s"));
  EXPECT_THAT(app.help(), HasSubstr("--pause DURATION=0s"));
  EXPECT_THAT(app.help(), HasSubstr("--interval DURATION=10h"));
}

}  // namespace
}  // namespace strata::command_line
