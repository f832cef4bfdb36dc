// strata-storage: the embedded store as a daemon, and the tools for its records. Each subcommand
// registers itself with one call below; what it does stands in its own room.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/process.h"
#include "lib/base/status.h"
#include "storage/command_line/parse.h"
#include "storage/serve/foreign_flags.h"
#include "storage/serve/serve.h"
#include "storage/tool/commands.h"

namespace {

constexpr int kBadUsage = 2;

}  // namespace

int main(int argc, char** argv) {
  strata::base::BeginProcess();
  CLI::App app{"The store of Strata's records, and tools to fill and read it.", "strata-storage"};
  app.set_version_flag("--version", "strata-storage " STRATA_VERSION);
  app.require_subcommand(1);

  // Set by the callback of the subcommand that ran.
  int exit_code = 0;
  strata::serve::AddServe(app, exit_code);
  strata::tool::AddCommands(app, exit_code);

  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    if (!arguments.empty() && arguments.front() == "serve") {
      if (const auto dropped = strata::serve::DropForeignFlags(arguments); !dropped.ok()) {
        std::fprintf(stderr, "strata-storage: %s\n",
                     std::string(strata::base::Message(dropped)).c_str());
        return kBadUsage;
      }
    }
    const auto ended = strata::command_line::Parse(app, std::move(arguments));
    return ended.value_or(exit_code);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "strata-storage: %s\n", error.what());
    return 1;
  }
}
