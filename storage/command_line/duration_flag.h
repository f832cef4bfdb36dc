// Flags whose values are times as Go writes them (lib/base/duration.h): both programs'.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

namespace strata::command_line {

enum class Zero { kRefused, kAllowed };

// Declares one that is `otherwise` where it isn't given; parsing calls `set`.
CLI::Option* AddDuration(CLI::App& app, const std::string& name, std::chrono::nanoseconds otherwise,
                         std::function<void(std::chrono::nanoseconds)> set, const std::string& help,
                         Zero zero = Zero::kRefused);

// The same of a variable, which holds what it is otherwise. Rounded up: what isn't zero doesn't
// become it.
template <typename Duration>
CLI::Option* AddDuration(CLI::App& app, const std::string& name, Duration& to,
                         const std::string& help, Zero zero = Zero::kRefused) {
  const auto set = [&to](std::chrono::nanoseconds time) { to = std::chrono::ceil<Duration>(time); };
  return AddDuration(app, name, to, set, help, zero);
}

// A further check of one: both ends are allowed.
CLI::Validator DurationRange(std::chrono::milliseconds least, std::chrono::milliseconds most);

}  // namespace strata::command_line
