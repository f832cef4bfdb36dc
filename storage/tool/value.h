// The stored form of a record: its key, and the bytes under it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "storage/records/record.h"
#include "storage/tool/parse.h"

namespace strata::tool {

// What to write for `record`, or nothing if the store has it already: `existing` is the value that
// it has, null if there is none. A value in another form (JSON, legacy v1, white space in metadata)
// that says the same counts as had; one that can't be read is replaced. uid and creationTimestamp
// that the record lacks are kept, or become `new_uid` and `now`.
std::string NewValue(const ParsedRecord& record, const std::string* existing,
                     std::string_view new_uid, int64_t now);

}  // namespace strata::tool
