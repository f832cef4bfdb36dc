// Whole records as clients see them: the index doesn't hold them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/image/presentation.h"
#include "storage/records/record.h"
#include "storage/replica/history.h"

namespace strata::endpoints {

// Of one request; belongs to one thread, which waits. Missing records are nothing; what can't be
// read is DataLoss with the reason.
class RecordReader {
 public:
  struct Source {
    const replica::History& history;
    const image::RegistryHostnames registry;
  };

  // All is read at `revision`.
  RecordReader(const Source& source, base::Revision revision, base::MonotonicTime deadline)
      : source_(source), revision_(revision), deadline_(deadline) {}

  // With the repositories that the server's registry gives it, or as it is stored.
  base::StatusOr<std::optional<image::v1::ImageStream>> Stream(const std::string& ns,
                                                               const std::string& name);
  base::StatusOr<std::optional<image::v1::ImageStream>> StoredStream(const std::string& ns,
                                                                     const std::string& name);
  base::StatusOr<std::optional<image::v1::Image>> Image(const std::string& name);

  // What was missing.
  const std::vector<records::Id>& absent() const { return absent_; }

 private:
  // `present(revision, record)` makes of it what clients see.
  template <typename Record, typename Present>
  base::StatusOr<std::optional<Record>> Read(const records::Id& id, const Present& present);

  const Source& source_;
  const base::Revision revision_;
  const base::MonotonicTime deadline_;
  std::vector<records::Id> absent_;
};

}  // namespace strata::endpoints
