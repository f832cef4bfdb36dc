// A look at every page that LMDB will follow, before it does.
//
// LMDB believes its pages: an offset or a page's number with a flipped bit sends it out of the map,
// or has it write into what is in use. So whoever opens a file has all of the tree's own structure
// looked at first: each page's form, the order and number of keys, that no page is used twice, and
// that what is listed as free is. Values have checksums: those of the history are verified when
// they are read, the others, which are found by their keys alone, here.
#pragma once

#include "lib/base/status.h"

namespace strata::engine::tree {

// Of the newest state in `file`, which nobody writes meanwhile. DataLoss names the page and what is
// wrong with it; OK for an empty file. Reads the pages of the trees, but not those of large values:
// half a second for a million records that the system has in memory.
base::Status CheckTree(int file);

}  // namespace strata::engine::tree
