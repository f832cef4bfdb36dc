// The records of an etcd v3 API, as the subcommands read and write them: many at a time, and never
// over a change that somebody else made meanwhile.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/revision.h"
#include "base/status.h"
#include "storage/records/keys.h"

namespace grpc {
class Channel;
}

namespace strata::tool {

// etcd's limits are 128 operations and 1.5 MiB a transaction.
inline constexpr size_t kMaxBatchRecords = 128;
inline constexpr size_t kMaxBatchBytes = 1 << 20;

// Thread-safe.
class RecordStore {
 public:
  // `channels` lead to the members of one store: when one doesn't answer, the next is asked.
  // `prefix` is --etcd-prefix.
  RecordStore(std::vector<std::shared_ptr<grpc::Channel>> channels, std::string_view prefix);
  ~RecordStore();
  RecordStore(const RecordStore&) = delete;
  RecordStore& operator=(const RecordStore&) = delete;

  struct Stored {
    base::Revision revision = 0;  // 0: there is no such key
    std::string value;
  };
  // At most kMaxBatchRecords, all as of one revision, in the order of `keys`.
  base::StatusOr<std::vector<Stored>> Read(const std::vector<std::string>& keys);

  struct Write {
    std::string key;
    std::string value;
    base::Revision expected = 0;  // the key's revision; 0: it may not exist
  };
  // All of `writes`, which are at most kMaxBatchRecords of different keys, or none. False if a key
  // isn't at its expected revision.
  base::StatusOr<bool> Commit(const std::vector<Write>& writes);

  struct Page {
    struct Entry {
      std::string key;
      Stored stored;
    };
    std::vector<Entry> entries;
    base::Revision revision = 0;
    bool more = false;
  };
  // At most `limit` keys from `begin` up to, and without, `end`, as of `revision`; 0: the current
  // one, which the page names.
  base::StatusOr<Page> List(std::string_view begin, std::string_view end, size_t limit,
                            base::Revision revision);

  const records::Keys& keys() const { return keys_; }

 private:
  struct Members;

  const std::unique_ptr<Members> members_;
  const records::Keys keys_;
};

}  // namespace strata::tool
