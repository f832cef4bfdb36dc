#include "storage/serve/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/command_line/parse.h"
#include "storage/serve/foreign_flags.h"

namespace strata::serve {
namespace {

// Whether `serve` starts with this flag.
bool Taken(const std::string& argument) {
  std::vector<std::string> arguments = {"serve", argument};
  if (!DropForeignFlags(arguments).ok()) return false;
  CLI::App app("", "program");
  int exit_code = 0;
  AddServe(app, exit_code);
  app.get_subcommand("serve")->callback([] {});
  testing::internal::CaptureStderr();
  const auto ended = command_line::Parse(app, std::move(arguments));
  testing::internal::GetCapturedStderr();
  return !ended;
}

std::vector<std::string> Names(std::string_view type = "") {
  CLI::App app;
  int exit_code = 0;
  AddServe(app, exit_code);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_subcommand("serve")->get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (option->get_type_name().starts_with(type)) names.push_back("--" + name);
    }
  }
  return names;
}

TEST(ServeFlags, NoneIsTakenForOneOfEtcdsAlone) {
  for (const std::string& flag : Names()) {
    std::vector<std::string> arguments = {flag + "=x"};
    EXPECT_TRUE(DropForeignFlags(arguments).ok()) << flag;
    EXPECT_THAT(arguments, testing::ElementsAre(flag + "=x"));
  }
}

TEST(ServeFlags, DurationsAreGos) {
  EXPECT_THAT(Names("DURATION"), testing::UnorderedElementsAre(
                                     "--watch-progress-notify-interval",
                                     "--experimental-watch-progress-notify-interval",
                                     "--corrupt-check-time", "--experimental-corrupt-check-time"));
  for (const std::string& flag : Names("DURATION")) {
    for (const char* text : {"1m30s", "1.5m", "1h30m", "1h0m0.5s", "+10000ms"})
      EXPECT_TRUE(Taken(flag + "=" + text)) << flag << " " << text;
    for (const char* text :
         {"10000", "10", "", "1d", "1 m", " 1m", "1m30", "s", "1M", "-1m", "inf"})
      EXPECT_FALSE(Taken(flag + "=" + text)) << flag << " " << text;
  }
  EXPECT_TRUE(Taken("--corrupt-check-time=0"));
  EXPECT_FALSE(Taken("--watch-progress-notify-interval=0"));
}

}  // namespace
}  // namespace strata::serve
