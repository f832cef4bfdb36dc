// `strata-storage load`, `dump` and `get`.
#pragma once

namespace CLI {
class App;
}

namespace strata::tool {

// Adds the subcommands. When the command line names one, parsing runs it and puts what the process
// shall exit with into `exit_code`. Both references outlive the parsing.
void AddCommands(CLI::App& app, int& exit_code);

}  // namespace strata::tool
