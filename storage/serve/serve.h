// `strata-storage serve`: the embedded store as a daemon.
#pragma once

namespace CLI {
class App;
}

namespace strata::serve {

// Adds the subcommand. When the command line names it, parsing runs it until SIGTERM or SIGINT, and
// puts what the process shall exit with into `exit_code`. Both references outlive the parsing.
void AddServe(CLI::App& app, int& exit_code);

}  // namespace strata::serve
