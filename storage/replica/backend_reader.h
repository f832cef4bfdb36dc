// Records at a revision that only the backend still has.
#pragma once

#include <optional>
#include <utility>

#include "storage/client/client.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::replica {

// Thread-safe.
class BackendReader {
 public:
  BackendReader(client::Client& client, records::Keys keys)
      : client_(client), keys_(std::move(keys)) {}

  // As History's. The count is of all keys.
  base::StatusOr<Page> Read(const Selection& selection) const;
  base::StatusOr<std::optional<records::Change>> Find(const records::Id& id,
                                                      base::Revision revision,
                                                      base::MonotonicTime deadline) const;

 private:
  base::StatusOr<client::RangeResult> Fetch(const Selection& selection, const std::string& from,
                                            size_t records, int64_t& most) const;

  client::Client& client_;
  const records::Keys keys_;
};

}  // namespace strata::replica
