// `strata-storage dump` and `get`: records printed in the form that `load` reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "storage/records/record.h"
#include "storage/tool/console.h"
#include "storage/tool/output.h"
#include "storage/tool/record_store.h"

namespace strata::tool {

enum class Format { kYaml, kJson };

struct DumpOptions {
  std::optional<records::Kind> kind{};  // both if absent
  std::string ns{};                     // streams of this namespace only, and no images; empty: all
  Format format = Format::kYaml;
  size_t page = 500;  // records a request
};

struct DumpCounts {
  int64_t written = 0;
  int64_t unreadable = 0;
};

// Prints every record as of one revision, images first: YAML documents, or one JSON List.
// Unreadable ones are reported to the console with key and reason. An error is the store's or the
// output's; what was printed until then is cut short.
base::Status Dump(RecordStore& store, const DumpOptions& options, Output& output, Console& console,
                  DumpCounts& counts);

// One record with its resourceVersion. NotFound; DataLoss if it can't be read.
base::StatusOr<std::string> PrintRecord(RecordStore& store, const records::Id& id, Format format);

// The same by key, for keys whose names say something else than their records.
base::StatusOr<std::string> PrintKey(RecordStore& store, const std::string& key, Format format);

// The bytes as they are stored. NotFound.
base::StatusOr<std::string> RawValue(RecordStore& store, const std::string& key);
base::StatusOr<std::string> RawValue(RecordStore& store, const records::Id& id);

}  // namespace strata::tool
