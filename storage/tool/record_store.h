// The records of an etcd v3 API, as the subcommands read and write them: many at a time, with
// patience while a store restarts or elects a leader.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"

namespace strata::tool {

// etcd's limits are 128 operations and 1.5 MiB a transaction.
inline constexpr size_t kMaxBatchRecords = 128;
inline constexpr size_t kMaxBatchBytes = 1 << 20;

// What the backend speaks of etcd's API. kine (pkg/server/limited.go) takes four transactions, of
// one key each, and a range for the folder before its end, of which the begin is a page's.
enum class Subset { kAll, kKine };

// Thread-safe.
class RecordStore {
 public:
  // `prefix` is --etcd-prefix.
  RecordStore(client::Client& client, std::string_view prefix, Subset subset = Subset::kAll)
      : client_(client), subset_(subset), keys_(prefix) {}

  // How many records Read and Commit take at most.
  size_t max_batch() const { return subset_ == Subset::kKine ? 1 : kMaxBatchRecords; }

  // At most max_batch(), all as of one revision, in the order of `keys`; mod_revision is 0 where
  // there is no such key.
  base::StatusOr<std::vector<client::KeyValue>> Read(const std::vector<std::string>& keys);

  // All of `changes`, which are at most max_batch() of different keys, or none. False if a key
  // isn't at its expected revision, also when an earlier attempt of this very call was done and its
  // answer lost: read again then.
  base::StatusOr<bool> Commit(const std::vector<client::Change>& changes);

  struct Page {
    std::vector<client::KeyValue> entries;
    base::Revision revision = 0;
    bool more = false;
  };
  // At most `limit` keys from `begin` up to, and without, `end`, as of `revision`; 0: the current
  // one, which the page names. What kine would answer for another range is an error.
  base::StatusOr<Page> List(const std::string& begin, const std::string& end, size_t limit,
                            base::Revision revision);

  // A range that has all records, images first, and may have other keys.
  std::string begin() const;
  std::string end() const;

  const records::Keys& keys() const { return keys_; }

 private:
  base::StatusOr<std::vector<client::KeyValue>> ReadAtOnce(const std::vector<std::string>& keys);

  client::Client& client_;
  const Subset subset_;
  const records::Keys keys_;
};

}  // namespace strata::tool
