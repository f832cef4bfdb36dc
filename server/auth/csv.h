// Comma-separated values as Go's encoding/csv reads them with a variable number of fields (RFC
// 4180).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::auth {

struct CsvRow {
  int line = 1;  // where it starts, counted from 1
  std::vector<std::string> fields;
};

// Empty lines are skipped. An error names the line.
base::StatusOr<std::vector<CsvRow>> ParseCsv(std::string_view text);

}  // namespace strata::auth
