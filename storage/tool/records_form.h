// Keys and values of records, as the tool needs them.
#pragma once

#include <string>
#include <string_view>

#include "base/revision.h"
#include "base/status.h"
#include "storage/records/record.h"

namespace strata::tool {

std::string KeyOf(const records::Id& id, std::string_view prefix);
base::StatusOr<records::Id> ParseKey(std::string_view key, std::string_view prefix);
std::string EncodeRecord(records::Kind kind, std::string_view object);
records::Change DecodeRecord(const records::Id& id, std::string_view value, base::Revision revision);

}  // namespace strata::tool
