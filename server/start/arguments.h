// The command line and the file of --config as one list of arguments, in the spellings that
// kube-apiserver's users know.
#pragma once

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace strata::start {

// The arguments without the program's name, as CLI11 takes them. `--flag_name` becomes
// `--flag-name`, and `-v=2` `-v2`, as with pflag. What --config FILE says, YAML with the flags'
// names as keys and lists for flags that take several values, stands before them, but for flags
// that are given on the command line too. An error names the file and the key.
base::StatusOr<std::vector<std::string>> ReadArguments(int argc, const char* const* argv);

}  // namespace strata::start
