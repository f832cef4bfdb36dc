// Flags of kube-apiserver and its library that have nothing to set here.
#pragma once

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace strata::start {

// Takes those flags out of `arguments` (as ReadArguments gives them) whose value is how things are
// here anyway, as `--profiling=false`. Any other is an error that says why there is no such flag,
// and what to do instead.
base::Status DropForeignFlags(std::vector<std::string>& arguments);

}  // namespace strata::start
