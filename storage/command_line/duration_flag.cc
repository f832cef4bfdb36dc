#include "storage/command_line/duration_flag.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status.h"

namespace strata::command_line {
namespace {

std::string Write(std::chrono::milliseconds time) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {{3'600'000, "h"}, {60'000, "m"}};
  for (const auto& [ms, unit] : kUnits) {
    if (time.count() >= ms && time.count() % ms == 0)
      return fmt::format("{}{}", time.count() / ms, unit);
  }
  return time.count() % 1000 == 0 ? fmt::format("{}s", time.count() / 1000)
                                  : fmt::format("{}ms", time.count());
}

}  // namespace

CLI::Option* AddDuration(CLI::App& app, const std::string& name, std::chrono::nanoseconds otherwise,
                         std::function<void(std::chrono::nanoseconds)> set, const std::string& help,
                         Zero zero) {
  const auto check = [zero](const std::string& text) {
    const auto parsed = base::ParseDuration(text);
    if (!parsed.ok()) return std::string(base::Message(parsed.status()));
    if (parsed->count() < 0) return fmt::format("{} is negative", text);
    if (parsed->count() == 0 && zero == Zero::kRefused)
      return fmt::format("{}: it must be longer than nothing", text);
    return std::string();
  };
  const auto parse = [set = std::move(set)](const CLI::results_t& results) {
    set(*base::ParseDuration(results[0]));
    return true;
  };
  return app.add_option(name, parse, help)
      ->type_name("DURATION")
      ->default_str(Write(std::chrono::duration_cast<std::chrono::milliseconds>(otherwise)))
      ->check(CLI::Validator(check, ""));
}

CLI::Validator DurationRange(std::chrono::milliseconds least, std::chrono::milliseconds most) {
  const auto check = [least, most](const std::string& text) {
    const auto parsed = base::ParseDuration(text);
    if (!parsed.ok() || (*parsed >= least && *parsed <= most)) return std::string();
    return fmt::format("{} isn't from {} to {}", text, Write(least), Write(most));
  };
  return CLI::Validator(check, "");
}

}  // namespace strata::command_line
