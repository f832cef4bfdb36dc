// Command lines as pflag reads them, and mistakes in them said in one line: both programs'.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace strata::command_line {

// Parses `arguments` (without the program's name) by `app`, whose callbacks run. An occurrence of a
// flag has one value, which may be empty (--flag=), and flags of lists grow with each occurrence.
// The exit code if the program ends here, after --help or with a line on stderr about what is
// wrong; nothing: it goes on. CLI11's own exceptions stay in here.
std::optional<int> Parse(CLI::App& app, std::vector<std::string> arguments);

}  // namespace strata::command_line
