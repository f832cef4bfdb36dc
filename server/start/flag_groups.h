// The flags of each part of the server, which flags.cc puts together: what declares them, and what
// the parser can't see of them (flags.h).
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <string>

#include "lib/base/status.h"
#include "server/start/flags.h"

namespace strata::start {

void AddServingFlags(CLI::App& app, Flags& flags);
base::Status CompleteServing(Flags& flags);

// Where the records are, and what is kept of them.
void AddRecordFlags(CLI::App& app, Flags& flags);
base::Status CompleteRecords(Flags& flags);

// Who somebody is, and what he may do.
void AddIdentityFlags(CLI::App& app, Flags& flags);
base::Status CompleteIdentity(Flags& flags);

// As pflag's: `--name` is `--name=true`, and `--name false` isn't `--name=false`.
inline void AddSwitch(CLI::App& app, const std::string& name, bool& to, const std::string& help) {
  app.add_flag(name, to, fmt::format("{} ({} unless told)", help, to));
}

// `to` is a name, or a list of them.
template <typename To>
CLI::Option* AddFile(CLI::App& app, const std::string& name, To& to, const std::string& help) {
  return app.add_option(name, to, help)->type_name("FILE");
}

// Of memory that all clients share: a MiB at least.
inline void AddBytes(CLI::App& app, const std::string& name, size_t& to, const std::string& help) {
  app.add_option(name, to, help)
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
}

}  // namespace strata::start
