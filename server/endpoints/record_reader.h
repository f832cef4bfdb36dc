// Whole records as clients see them, read from the backend: the index doesn't hold them.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/image/presentation.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"

namespace strata::endpoints {

// Of one request; belongs to one thread, which waits. All is read at the revision of the first
// read. Missing records are nothing; what can't be read is DataLoss with the reason.
class RecordReader {
 public:
  struct Source {
    client::Client& client;
    const records::Keys keys;
    const image::RegistryHostnames registry;
  };

  RecordReader(const Source& source, base::MonotonicTime deadline, std::string traceparent)
      : source_(source), deadline_(deadline), traceparent_(std::move(traceparent)) {}

  // With the repositories that the server's registry gives it, or as it is stored.
  base::StatusOr<std::optional<image::v1::ImageStream>> Stream(const std::string& ns,
                                                               const std::string& name);
  base::StatusOr<std::optional<image::v1::ImageStream>> StoredStream(const std::string& ns,
                                                                     const std::string& name);
  base::StatusOr<std::optional<image::v1::Image>> Image(const std::string& name);

 private:
  // `present(revision, record)` makes of it what clients see.
  template <typename Record, typename Present>
  base::StatusOr<std::optional<Record>> Read(const records::Id& id, const Present& present);

  const Source& source_;
  const base::MonotonicTime deadline_;
  const std::string traceparent_;
  base::Revision revision_ = 0;  // 0: nothing has been read
};

}  // namespace strata::endpoints
