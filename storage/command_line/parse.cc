#include "storage/command_line/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <numeric>
#include <string_view>
#include <system_error>
#include <utility>

#include "lib/base/bytes.h"

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

// What CLI11 does by itself is one value for what isn't a list, given once, and all that follows
// for a list.
void GiveEachOneValue(CLI::App& app) {
  for (CLI::Option* option : OptionsOf(app)) {
    if (option->get_positional()) continue;
    option->allow_extra_args(false);
    if (option->get_items_expected_max() <= 1)
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
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

// As Go's strconv.ParseBool and, with base 0 and without underscores, ParseInt and ParseUint take
// them. CLI11 takes more: any number for a switch, and nothing, blanks, and what wraps around or is
// cut to what fits for a number.
bool IsBool(std::string_view text) {
  constexpr std::string_view kAll[] = {"1", "t", "T", "true",  "TRUE",  "True",
                                       "0", "f", "F", "false", "FALSE", "False"};
  return std::find(std::begin(kAll), std::end(kAll), text) != std::end(kAll);
}

bool IsWhole(std::string_view text, bool is_signed) {
  const bool negative = text.starts_with('-');
  if (is_signed && (negative || text.starts_with('+'))) text.remove_prefix(1);
  int base = 10;
  for (const auto& [prefix, of] : {std::pair<std::string_view, int>{"0x", 16}, {"0X", 16}}) {
    if (!text.starts_with(prefix)) continue;
    text.remove_prefix(prefix.size());
    base = of;
  }
  if (base == 10 && text.size() > 1 && text[0] == '0') base = 8;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  const uint64_t most = !is_signed ? std::numeric_limits<uint64_t>::max()
                                   : uint64_t{std::numeric_limits<int64_t>::max()} + negative;
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && value <= most;
}

bool IsNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

// What `text` isn't; empty: it may be what the option takes.
std::string_view WhatItIsnt(const CLI::Option& option, std::string_view text) {
  if (!TakesValue(option)) return IsBool(text) ? "" : "true or false";
  const std::string type = option.get_type_name();
  if (type.starts_with("INT")) return IsWhole(text, /*is_signed=*/true) ? "" : "a whole number";
  if (type.starts_with("UINT"))
    return IsWhole(text, /*is_signed=*/false) ? "" : "a whole number, 0 or more";
  if (type.starts_with("FLOAT")) return IsNumber(text) ? "" : "a number";
  // With a unit behind it.
  if (type.starts_with("BYTES")) {
    const bool digit = !text.empty() && text[0] >= '0' && text[0] <= '9';
    return digit ? "" : "a number of bytes";
  }
  return "";
}

// The first value that is of another type than its flag.
std::string FindOther(CLI::App& app, std::vector<std::string>& arguments) {
  std::string found;
  Walk(
      app, arguments,
      [&](CLI::App&, CLI::Option* option, size_t at) {
        const std::string_view argument = arguments[at];
        const std::string_view name = NameOf(argument);
        if (option == nullptr) return true;
        std::string_view value = argument.substr(name.size());
        if (value.empty() && (!TakesValue(*option) || at + 1 == arguments.size())) return true;
        if (value.empty()) {
          value = arguments[at + 1];
        } else if (value[0] == '=') {
          value.remove_prefix(1);
        }
        if (const std::string_view what = WhatItIsnt(*option, value); !what.empty())
          found = fmt::format("{}: {} isn't {}", option->get_name(), value, what);
        return found.empty();
      },
      [](CLI::App&, const std::string&) { return true; });
  return found;
}

bool Is(const CLI::ParseError& error, CLI::ExitCodes code) {
  return error.get_exit_code() == static_cast<int>(code);
}

// CLI11's own words, made to begin with the flag.
std::string Explain(CLI::App& app, std::vector<std::string>& arguments,
                    const CLI::ParseError& error) {
  if (std::string unknown = FindUnknown(app, arguments); !unknown.empty()) return unknown;
  if (std::string other = FindOther(app, arguments); !other.empty()) return other;
  std::string said = error.what();
  std::string explained;
  Walk(
      app, arguments,
      [&](CLI::App&, CLI::Option* option, size_t at) {
        if (option == nullptr) return true;
        const std::string name = option->get_name();
        // What is too large for the variable behind the flag.
        if (Is(error, CLI::ExitCodes::ConversionError) && said.find(name + " = ") != said.npos)
          explained = fmt::format("{}: {} can't be used", name, said.substr(said.find(" = ") + 3));
        // CLI11 writes the largest double out.
        if (const size_t range = said.find(" not in range 0.000000 to 1797");
            said.starts_with(name + ": Value ") && range != said.npos)
          explained = fmt::format("{} is too small", said.substr(0, range));
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
    if (!FindOther(app, arguments).empty())
      throw CLI::ParseError("a value of another type", kBadUsage);
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
