// Making a store of another's history, revision by revision.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/status.h"
#include "storage/engine/data_dir.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/types.h"

namespace strata::engine {

// For one thread. What was added is there once Finish has returned OK, and only then is the
// directory a store.
class Import {
 public:
  // The directory, which must be empty, isn't a store yet.
  static base::StatusOr<std::unique_ptr<Import>> Create(const std::string& directory);

  // In ascending order of revisions. A version 0 is a deletion. Of changes of one key in one
  // revision the last counts.
  base::Status Add(const KeyValue& change);
  base::Status AddLease(int64_t id, int64_t ttl);
  // Returns the newest revision, which is at least `compacted`.
  base::StatusOr<Revision> Finish(Revision compacted);

 private:
  Import(std::unique_ptr<DataDir> dir, std::unique_ptr<tree::Environment> env)
      : dir_(std::move(dir)), env_(std::move(env)) {}
  base::Status Begin();   // a transaction, if there is none
  base::Status Commit();  // of what is large enough

  const std::unique_ptr<DataDir> dir_;
  const std::unique_ptr<tree::Environment> env_;
  std::optional<tree::Txn> txn_;
  size_t pending_bytes_ = 0;
  Revision revision_ = 1;
  uint32_t sub_ = 0;
  std::map<std::string, int64_t> leased_;  // keys that have a lease now
};

}  // namespace strata::engine
