// Flags of a program that ours stands in for, where there is nothing to set here.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::base {

struct ForeignFlag {
  std::string_view name;  // "--x-*": all that begin so
  std::string_view why;   // there is no such flag, and what to do instead; empty: there is one
  bool is_switch = false;
  std::vector<std::string_view> taken = {};  // values that say what is so
  // The same for values that can't be listed.
  std::function<bool(std::string_view value)> is_so = nullptr;
};

// Takes those flags out of `arguments` whose value is how things are here anyway, as
// `--profiling=false`. Any other is an error that says why there is no such flag. Of several rows
// for a name the first counts.
Status DropForeignFlags(const std::vector<ForeignFlag>& known, std::vector<std::string>& arguments);

}  // namespace strata::base
