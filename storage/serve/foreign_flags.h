// etcd's flags that have nothing to set in a store of one member.
#pragma once

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace strata::serve {

// As base::DropForeignFlags, of etcd 3.6's flags that `serve` doesn't have itself: a unit file or a
// static pod's manifest that was etcd's can stay as it is, as long as it asks for nothing that
// isn't so here.
base::Status DropForeignFlags(std::vector<std::string>& arguments);

}  // namespace strata::serve
