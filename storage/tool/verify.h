// `strata-storage verify`: what is wrong with the records of a store, and how much of what there
// is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "storage/tool/record_store.h"

namespace strata::tool {

struct Usage {
  int64_t streams = 0;
  int64_t tags = 0;    // of their status
  int64_t images = 0;  // records; or of a namespace, different images that its streams name
  int64_t bytes = 0;   // of the values as they are stored
};

struct Problem {
  std::string what;     // Unreadable, MissingImage, MissingManifest
  std::string record;   // its key
  std::string details;  // why, or what is missing
};

struct Verification {
  base::Revision revision = 0;
  Usage images;                             // their records
  std::map<std::string, Usage> namespaces;  // of streams
  int64_t unreadable = 0, missing_images = 0, missing_manifests = 0;
  int64_t other_keys = 0;         // in the range of our keys, and neither an image's nor a stream's
  std::vector<Problem> problems;  // the first thousand
};

// All records as of one revision. Takes some 100 bytes of memory for each image.
base::StatusOr<Verification> Verify(RecordStore& store);

// A table, as kubectl prints them, and a line for each problem.
std::string AsTable(const Verification& found);
// One JSON object.
std::string AsJson(const Verification& found);

}  // namespace strata::tool
