#include "storage/command_line/duration_flag.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status.h"

namespace strata::command_line {

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
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(otherwise).count();
  return app.add_option(name, parse, help)
      ->type_name("DURATION")
      ->default_str(ms % 1000 == 0 ? fmt::format("{}s", ms / 1000) : fmt::format("{}ms", ms))
      ->check(CLI::Validator(check, ""));
}

}  // namespace strata::command_line
