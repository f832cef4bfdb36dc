#include "storage/engine/import.h"

#include <fmt/format.h>

#include <utility>

#include "lib/base/bytes.h"
#include "storage/engine/layout.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/marker.h"
#include "storage/engine/meta.h"

namespace strata::engine {
namespace {

using tree::Table;

constexpr size_t kCommitBytes = size_t{64} << 20;

}  // namespace

base::StatusOr<std::unique_ptr<Import>> Import::Create(const std::string& directory) {
  STRATA_ASSIGN_OR_RETURN(auto dir, DataDir::Hold(directory));
  // Room for what grows within one transaction.
  STRATA_ASSIGN_OR_RETURN(
      auto env,
      tree::Environment::Open(dir->FilePath(kStoreFile), {.initial_map_bytes = int64_t{1} << 40}));
  return std::unique_ptr<Import>(new Import(std::move(dir), std::move(env)));
}

base::Status Import::Begin() {
  if (txn_) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(auto txn, env_->Begin());
  txn_.emplace(std::move(txn));
  return base::OkStatus();
}

base::Status Import::Commit() {
  if (!txn_) return base::OkStatus();
  const base::Status done = txn_->Commit();
  txn_.reset();
  pending_bytes_ = 0;
  return done;
}

base::Status Import::Add(const KeyValue& change) {
  if (!KeyFits(change.key)) {
    return base::InvalidArgumentError(
        fmt::format("the key {} has {} bytes, and this store takes {}",
                    base::Printable(change.key, 100), change.key.size(), kMaxKeyBytes));
  }
  if (change.mod_revision < revision_) return base::DataLossError("revisions aren't in order");
  STRATA_RETURN_IF_ERROR(Begin());
  sub_ = change.mod_revision == revision_ ? sub_ + 1 : 0;
  revision_ = change.mod_revision;
  const std::string index_key = IndexKey(change.key, revision_);
  STRATA_ASSIGN_OR_RETURN(const auto earlier, txn_->Get(Table::kIndex, index_key));
  if (earlier) {
    const auto parsed = ParseIndex(*earlier);
    if (parsed)
      STRATA_RETURN_IF_ERROR(txn_->Delete(Table::kHistory, HistoryKey({revision_, parsed->sub})));
  }
  HistoryRecord record;
  record.kind = change.version == 0 ? Kind::kTombstone : Kind::kPut;
  record.key = change.key;
  if (change.version != 0) {
    record.create_revision = change.create_revision;
    record.version = change.version;
    record.lease = change.lease;
    record.value = change.value;
  }
  STRATA_RETURN_IF_ERROR(
      txn_->Append(Table::kHistory, HistoryKey({revision_, sub_}), EncodeHistory(record)));
  STRATA_RETURN_IF_ERROR(txn_->Put(Table::kIndex, index_key,
                                   EncodeIndex({.kind = record.kind,
                                                .sub = sub_,
                                                .create_revision = record.create_revision,
                                                .version = record.version,
                                                .lease = record.lease})));
  if (record.lease != 0) {
    leased_[change.key] = record.lease;
  } else {
    leased_.erase(change.key);
  }
  pending_bytes_ += change.key.size() * 2 + change.value.size() + 128;
  return pending_bytes_ < kCommitBytes ? base::OkStatus() : Commit();
}

base::Status Import::AddLease(int64_t id, int64_t ttl) {
  STRATA_RETURN_IF_ERROR(Begin());
  return PutLease(*txn_, id, ttl);
}

base::StatusOr<Revision> Import::Finish(Revision compacted) {
  STRATA_RETURN_IF_ERROR(Begin());
  for (const auto& [key, lease] : leased_) {
    STRATA_ASSIGN_OR_RETURN(const auto granted, GrantedTtl(*txn_, lease));
    if (granted) STRATA_RETURN_IF_ERROR(txn_->Put(Table::kLeaseKey, LeaseKeyKey(lease, key), {}));
  }
  STRATA_RETURN_IF_ERROR(PutNewIds(*txn_));
  if (compacted > revision_) {
    // The newest changes were deletions, and went with the compaction (etcd mvcc/kvstore.go
    // restore).
    STRATA_RETURN_IF_ERROR(PutMarker(*txn_, compacted));
    revision_ = compacted;
  }
  // What was compacted there may still have been among the changes: the store begins with the
  // clean-up (scrub.h).
  STRATA_RETURN_IF_ERROR(PutNumber(*txn_, kMetaCompacted, compacted));
  STRATA_RETURN_IF_ERROR(PutFormat(*txn_));
  STRATA_RETURN_IF_ERROR(Commit());
  STRATA_RETURN_IF_ERROR(dir_->Sync());
  return revision_;
}

}  // namespace strata::engine
