// Keys and values as they are, any key: `dump --raw` and `load --raw`, for moves between stores.
// One JSON object a line, with the names and the base64 of `etcdctl get -w json`:
// {"key":"L2E=","value":"MQ=="}. A dump's last line, {"keys":"1"}, counts them: without it, or with
// another number, it isn't whole. Leases and revisions aren't moved.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/status.h"
#include "storage/tool/console.h"
#include "storage/tool/output.h"
#include "storage/tool/record_store.h"

namespace strata::tool {

// All keys that begin with `prefix`, as of one revision. Returns how many.
base::StatusOr<int64_t> DumpRaw(RecordStore& store, const std::string& prefix, Output& output);

struct RawCounts {
  int64_t written = 0, unchanged = 0, bad = 0;
};

// Writes what `input` ("-": stdin; gzipped or not) says and the store doesn't have: whole dumps,
// one behind the other. Bad lines, and what isn't whole, are reported and counted. An error is the
// store's or the input's.
base::Status LoadRaw(RecordStore& store, const std::string& input, size_t max_input_bytes,
                     Console& console, RawCounts& counts);

}  // namespace strata::tool
