#include "storage/command_line/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace strata::command_line {
namespace {

constexpr int kBadUsage = 2;

using Apps = std::vector<CLI::App*>;

Apps Below(CLI::App& app, bool named) {
  return app.get_subcommands([&](CLI::App* one) { return one->get_name().empty() != named; });
}

// The options of a command, and of its groups, which CLI11 has as commands without a name.
std::vector<CLI::Option*> OptionsOf(CLI::App& command) {
  std::vector<CLI::Option*> all = command.get_options([](CLI::Option*) { return true; });
  for (CLI::App* group : Below(command, /*named=*/false)) {
    const auto more = OptionsOf(*group);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

CLI::Option* Find(CLI::App& command, std::string_view flag) {
  for (CLI::Option* option : OptionsOf(command)) {
    if (option->check_name(std::string(flag))) return option;
  }
  return nullptr;
}

CLI::App* FindCommand(CLI::App& app, std::string_view name) {
  for (CLI::App* command : Below(app, /*named=*/true)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

bool TakesValue(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

// What CLI11 does by itself is one value for what isn't a list, and all that follows for a list.
void GiveEachOneValue(CLI::App& app) {
  for (CLI::Option* option : OptionsOf(app)) {
    if (!option->get_positional()) option->allow_extra_args(false);
  }
  for (CLI::App* command : Below(app, /*named=*/true)) GiveEachOneValue(*command);
}

bool IsFlag(std::string_view argument) {
  return argument.size() > 1 && argument[0] == '-' && argument != "--";
}

// --flag of --flag=value, -v of -v2.
std::string_view NameOf(std::string_view argument) {
  if (!argument.starts_with("--")) return argument.substr(0, 2);
  return argument.substr(0, argument.find('='));
}

// Calls `flag` with each flag of a command line, its command and its option (null: it has none),
// and `word` with each other argument that is no flag's value; until one returns false.
template <typename OnFlag, typename OnWord>
void Walk(CLI::App& app, std::vector<std::string>& arguments, const OnFlag& flag,
          const OnWord& word) {
  CLI::App* command = &app;
  for (size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    if (!IsFlag(arguments[i])) {
      if (!word(*command, arguments[i])) return;
      if (CLI::App* named = command == &app ? FindCommand(app, arguments[i]) : nullptr)
        command = named;
      continue;
    }
    const std::string_view name = NameOf(arguments[i]);
    CLI::Option* option = Find(*command, name);
    const bool alone = name.size() == arguments[i].size();
    if (!flag(*command, option, i)) return;
    if (option != nullptr && TakesValue(*option) && alone) ++i;
  }
}

// --flag= has an empty value, and takes none from behind it; -o=json is -o json.
void GiveEmptyValues(CLI::App& app, std::vector<std::string>& arguments) {
  std::vector<size_t> empty;
  Walk(
      app, arguments,
      [&](CLI::App&, CLI::Option* option, size_t at) {
        std::string& argument = arguments[at];
        if (option == nullptr || !TakesValue(*option)) return true;
        if (!argument.starts_with("--") && argument.size() > 2 && argument[2] == '=')
          argument.erase(2, 1);
        if (argument.starts_with("--") && argument.find('=') == argument.size() - 1)
          empty.push_back(at);
        return true;
      },
      [](CLI::App&, const std::string&) { return true; });
  for (auto at = empty.rbegin(); at != empty.rend(); ++at) {
    arguments[*at].pop_back();
    arguments.insert(arguments.begin() + static_cast<ptrdiff_t>(*at) + 1, std::string());
  }
}

// Letters to be changed, put in or left out to make one of the other (Levenshtein).
size_t Distance(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= from.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t changed = diagonal + (from[i - 1] != to[j - 1]);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

std::string DidYouMean(std::string_view said, const std::vector<std::string>& names,
                       std::string_view otherwise) {
  const std::string* best = nullptr;
  size_t least = std::max<size_t>(2, said.size() / 4) + 1;
  for (const std::string& name : names) {
    const size_t distance = Distance(said.substr(0, 100), name);
    if (distance < least) best = &name;
    least = std::min(least, distance);
  }
  return best == nullptr ? fmt::format("see {}", otherwise)
                         : fmt::format("did you mean {}?", *best);
}

std::vector<std::string> FlagsOf(CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : OptionsOf(command)) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> CommandsOf(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : Below(app, /*named=*/true)) names.push_back(command->get_name());
  return names;
}

std::string HelpOf(CLI::App& app, CLI::App& command) {
  return &app == &command ? fmt::format("{} --help", app.get_name())
                          : fmt::format("{} {} --help", app.get_name(), command.get_name());
}

std::string UnknownFlag(CLI::App& app, CLI::App& command, std::string_view argument) {
  // -data-dir is meant as --data-dir.
  const std::string_view name =
      argument.starts_with("--") ? NameOf(argument) : argument.substr(0, argument.find('='));
  for (CLI::App* other : &command == &app ? Below(app, /*named=*/true) : Apps()) {
    if (Find(*other, name) != nullptr)
      return fmt::format("{0}: it stands behind the command, as in {1} {2} {0}", name,
                         app.get_name(), other->get_name());
  }
  return fmt::format("{}: unknown flag; {}", name,
                     DidYouMean(name, FlagsOf(command), HelpOf(app, command)));
}

// What CLI11 would only say after other things, or not at all: a flag or a command that isn't
// known.
std::string FindUnknown(CLI::App& app, std::vector<std::string>& arguments) {
  std::string unknown;
  const auto commands = CommandsOf(app);
  bool has_command = commands.empty();
  Walk(
      app, arguments,
      [&](CLI::App& command, CLI::Option* option, size_t at) {
        if (option == nullptr) unknown = UnknownFlag(app, command, arguments[at]);
        return unknown.empty();
      },
      [&](CLI::App& command, const std::string& word) {
        if (&command != &app || has_command) return true;
        has_command = true;
        if (FindCommand(app, word) != nullptr) return true;
        unknown = fmt::format("{}: unknown command; {}", word,
                              DidYouMean(word, commands, HelpOf(app, app)));
        return false;
      });
  if (unknown.empty() && !has_command) {
    return fmt::format("a command is missing: {}; see {}", fmt::join(commands, ", "),
                       HelpOf(app, app));
  }
  return unknown;
}

std::string_view WhatIs(const CLI::Option& option) {
  if (!TakesValue(option)) return "true or false";
  const std::string type = option.get_type_name();
  if (type.starts_with("INT") || type.starts_with("UINT")) return "a whole number";
  return type.starts_with("FLOAT") ? "a number" : "such a value";
}

bool Is(const CLI::ParseError& error, CLI::ExitCodes code) {
  return error.get_exit_code() == static_cast<int>(code);
}

// CLI11's own words, made to begin with the flag.
std::string Explain(CLI::App& app, std::vector<std::string>& arguments,
                    const CLI::ParseError& error) {
  if (std::string unknown = FindUnknown(app, arguments); !unknown.empty()) return unknown;
  const std::string said = error.what();
  std::string explained;
  Walk(
      app, arguments,
      [&](CLI::App&, CLI::Option* option, size_t at) {
        if (option == nullptr) return true;
        const std::string name = option->get_name();
        if (Is(error, CLI::ExitCodes::ConversionError) && said.find(name + " = ") != said.npos) {
          explained = fmt::format("{}: {} isn't {}", name, said.substr(said.find(" = ") + 3),
                                  WhatIs(*option));
        }
        if (Is(error, CLI::ExitCodes::ArgumentMismatch) && at + 1 == arguments.size())
          explained = fmt::format("{}: a value is missing", NameOf(arguments[at]));
        return explained.empty();
      },
      [](CLI::App&, const std::string&) { return true; });
  if (!explained.empty()) return explained;
  if (Is(error, CLI::ExitCodes::ExtrasError))
    return fmt::format("{}; values of flags are given as --flag=VALUE", said);
  return said;
}

}  // namespace

std::optional<int> Parse(CLI::App& app, std::vector<std::string> arguments) {
  GiveEachOneValue(app);
  GiveEmptyValues(app, arguments);
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "{}: {}\n", app.get_name(),
               base::Printable(Explain(app, arguments, error), 1000));
    return kBadUsage;
  }
}

}  // namespace strata::command_line
