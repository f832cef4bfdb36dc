// One number for all that can be read at a revision, to compare stores by: equal before and after a
// compaction's clean-up, a restart or a copy. It isn't etcd's number.
#pragma once

#include <cstdint>

#include "lib/base/status.h"
#include "storage/engine/view.h"

namespace strata::engine {

// Of the history up to `at`, without what the compaction has forgotten. Reads every record, and
// passes View::GiveWay on.
base::StatusOr<uint32_t> HashHistory(const View& view, Revision at);

}  // namespace strata::engine
