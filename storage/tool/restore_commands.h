// The commands that make a data directory: `restore` of a snapshot, `recover` of a damaged one.
#pragma once

namespace CLI {
class App;
}  // namespace CLI

namespace strata::tool {

// As commands.h.
void AddRestore(CLI::App& app, int& exit_code);
void AddRecover(CLI::App& app, int& exit_code);
void AddPrune(CLI::App& app, int& exit_code);

}  // namespace strata::tool
