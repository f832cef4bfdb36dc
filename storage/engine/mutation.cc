#include "storage/engine/mutation.h"

#include <algorithm>
#include <compare>
#include <string>
#include <utility>

#include "storage/engine/errors.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/meta.h"

namespace strata::engine {
namespace {

using tree::Table;

// What surrounds the records that one operation of a transaction answers, at most.
constexpr size_t kOpBytes = 64;

bool Matches(Compare::Result wanted, std::strong_ordering order) {
  switch (wanted) {
    case Compare::Result::kEqual:
      return order == 0;
    case Compare::Result::kGreater:
      return order > 0;
    case Compare::Result::kLess:
      return order < 0;
    case Compare::Result::kNotEqual:
      return order != 0;
  }
  return false;
}

std::strong_ordering Order(const Compare& compare, const KeyValue& kv) {
  switch (compare.target) {
    case Compare::Target::kVersion:
      return kv.version <=> compare.number;
    case Compare::Target::kCreate:
      return kv.create_revision <=> compare.number;
    case Compare::Target::kMod:
      return kv.mod_revision <=> compare.number;
    case Compare::Target::kLease:
      return kv.lease <=> compare.number;
    case Compare::Target::kValue:
      return kv.value.compare(compare.value) <=> 0;
  }
  return std::strong_ordering::equal;
}

}  // namespace

template <typename Result>
base::StatusOr<Result> Mutation::End(base::StatusOr<Result> result, const AnswerBytes* answer) {
  if (!result.ok()) {
    const bool refused = answer != nullptr && answer->refused();
    spoilt_ = !refused || sub_ > 0;
    if (spoilt_ && refused) refusal_ = result.status();
    return result;
  }
  if (sub_ > 0) ++base_;
  sub_ = 0;
  result->revision = base_;
  return result;
}

// There is one left for this request.
base::Status Mutation::CheckRevisions() const {
  return base_ < kMostCount ? base::OkStatus() : NoMoreRevisions();
}

base::StatusOr<bool> Mutation::Holds(const Compare& compare) const {
  const bool by_value = compare.target == Compare::Target::kValue;
  const View now = Now();
  bool any = false;
  bool holds = true;
  STRATA_RETURN_IF_ERROR(now.Walk(compare.key, compare.range_end, now.revision(),
                                  [&](const Version& version) -> base::StatusOr<bool> {
                                    any = true;
                                    STRATA_ASSIGN_OR_RETURN(const KeyValue kv,
                                                            now.Load(version, by_value));
                                    holds = Matches(compare.result, Order(compare, kv));
                                    return holds;
                                  }));
  // No value equals or differs from a value that isn't there.
  if (!any) return !by_value && Matches(compare.result, Order(compare, KeyValue()));
  return holds;
}

base::StatusOr<Mutation::Path> Mutation::Choose(const TxnRequest& request) const {
  Path path;
  path.succeeded = true;
  for (const Compare& compare : request.compares) {
    STRATA_ASSIGN_OR_RETURN(path.succeeded, Holds(compare));
    if (!path.succeeded) break;
  }
  for (const Op& op : path.succeeded ? request.success : request.failure) {
    const auto* nested = std::get_if<TxnRequest>(&op.request);
    if (nested == nullptr) continue;
    STRATA_ASSIGN_OR_RETURN(Path nested_path, Choose(*nested));
    path.nested.push_back(std::move(nested_path));
  }
  return path;
}

base::Status Mutation::CheckAgainstStore(const PutRequest& request) const {
  if (request.ignore_value || request.ignore_lease) {
    STRATA_ASSIGN_OR_RETURN(const auto found, Now().Find(request.key, Now().revision()));
    if (!found) return KeyNotFound();
  }
  if (request.lease == 0) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(const auto granted, GrantedTtl(txn_, request.lease));
  return granted ? base::OkStatus() : LeaseNotFound();
}

base::Status Mutation::CheckAgainstStore(const TxnRequest& request, const Path& path) const {
  size_t nested = 0;
  for (const Op& op : path.succeeded ? request.success : request.failure) {
    if (const auto* range = std::get_if<RangeRequest>(&op.request)) {
      STRATA_RETURN_IF_ERROR(Now().CheckRevision(range->revision));
    } else if (const auto* put = std::get_if<PutRequest>(&op.request)) {
      STRATA_RETURN_IF_ERROR(CheckAgainstStore(*put));
    } else if (const auto* txn = std::get_if<TxnRequest>(&op.request)) {
      STRATA_RETURN_IF_ERROR(CheckAgainstStore(*txn, path.nested[nested++]));
    }
  }
  return base::OkStatus();
}

base::StatusOr<PutResult> Mutation::Put(const PutRequest& request, AnswerBytes& answer) {
  STRATA_RETURN_IF_ERROR(CheckRevisions());
  STRATA_RETURN_IF_ERROR(CheckAgainstStore(request));
  return End(DoPut(request, answer), &answer);
}

base::StatusOr<DeleteResult> Mutation::Delete(const DeleteRequest& request, AnswerBytes& answer) {
  STRATA_RETURN_IF_ERROR(CheckRevisions());
  return End(DoDelete(request, answer), &answer);
}

base::StatusOr<TxnResult> Mutation::Run(const TxnRequest& request, AnswerBytes& answer) {
  STRATA_RETURN_IF_ERROR(CheckRevisions());
  STRATA_ASSIGN_OR_RETURN(const Path path, Choose(request));
  STRATA_RETURN_IF_ERROR(CheckAgainstStore(request, path));
  return End(DoTxn(request, path, answer), &answer);
}

base::StatusOr<PutResult> Mutation::DoPut(const PutRequest& request, AnswerBytes& answer) {
  // The old value is read only when someone wants it: a version knows the rest.
  const bool wants_value = request.prev_kv || request.ignore_value;
  const View now = Now();
  std::optional<KeyValue> prev;
  STRATA_RETURN_IF_ERROR(now.Walk(
      request.key, {}, now.revision(), [&](const Version& version) -> base::StatusOr<bool> {
        STRATA_ASSIGN_OR_RETURN(
            prev, now.Load(version, wants_value, request.prev_kv ? &answer : nullptr));
        return false;
      }));
  HistoryRecord record;
  record.key = request.key;
  record.value = request.ignore_value ? prev->value : request.value;
  record.lease = request.ignore_lease ? prev->lease : request.lease;
  record.version = prev ? prev->version + 1 : 1;
  record.create_revision = prev ? prev->create_revision : base_ + 1;
  STRATA_RETURN_IF_ERROR(Record(record));

  const int64_t old_lease = prev ? prev->lease : 0;
  if (old_lease != record.lease) {
    if (old_lease != 0) {
      STRATA_RETURN_IF_ERROR(txn_.Delete(Table::kLeaseKey, LeaseKeyKey(old_lease, request.key)));
    }
    if (record.lease != 0) {
      STRATA_RETURN_IF_ERROR(
          txn_.Put(Table::kLeaseKey, LeaseKeyKey(record.lease, request.key), {}));
    }
  }
  PutResult result{.revision = base_ + 1, .prev = std::nullopt};
  if (request.prev_kv) result.prev = std::move(prev);
  return result;
}

base::StatusOr<DeleteResult> Mutation::DoDelete(const DeleteRequest& request, AnswerBytes& answer) {
  struct Victim {
    std::string key;
    int64_t lease;
  };
  std::vector<Victim> victims;
  DeleteResult result;
  const View now = Now();
  STRATA_RETURN_IF_ERROR(now.Walk(request.key, request.range_end, now.revision(),
                                  [&](const Version& version) -> base::StatusOr<bool> {
                                    STRATA_ASSIGN_OR_RETURN(
                                        KeyValue kv, now.Load(version, request.prev_kv,
                                                              request.prev_kv ? &answer : nullptr));
                                    victims.push_back({kv.key, kv.lease});
                                    if (request.prev_kv) result.prevs.push_back(std::move(kv));
                                    return true;
                                  }));
  for (const Victim& victim : victims) {
    STRATA_RETURN_IF_ERROR(DeleteOne(victim.key, victim.lease));
  }
  result.deleted = static_cast<int64_t>(victims.size());
  result.revision = Now().revision();
  return result;
}

base::Status Mutation::DeleteOne(std::string_view key, int64_t lease) {
  HistoryRecord tombstone;
  tombstone.kind = Kind::kTombstone;
  tombstone.key = key;
  STRATA_RETURN_IF_ERROR(Record(tombstone));
  return lease == 0 ? base::OkStatus() : txn_.Delete(Table::kLeaseKey, LeaseKeyKey(lease, key));
}

base::StatusOr<TxnResult> Mutation::DoTxn(const TxnRequest& request, const Path& path,
                                          AnswerBytes& answer) {
  TxnResult result;
  result.succeeded = path.succeeded;
  size_t nested = 0;
  for (const Op& op : path.succeeded ? request.success : request.failure) {
    STRATA_RETURN_IF_ERROR(answer.Add(kOpBytes));
    OpResult& done = result.results.emplace_back();
    if (const auto* range = std::get_if<RangeRequest>(&op.request)) {
      STRATA_ASSIGN_OR_RETURN(RangeResult found, Now().Range(*range, answer));
      found.revision = Now().revision();
      done.result = std::move(found);
    } else if (const auto* put = std::get_if<PutRequest>(&op.request)) {
      STRATA_ASSIGN_OR_RETURN(done.result, DoPut(*put, answer));
    } else if (const auto* erase = std::get_if<DeleteRequest>(&op.request)) {
      STRATA_ASSIGN_OR_RETURN(done.result, DoDelete(*erase, answer));
    } else if (const auto* txn = std::get_if<TxnRequest>(&op.request)) {
      STRATA_ASSIGN_OR_RETURN(done.result, DoTxn(*txn, path.nested[nested++], answer));
    }
  }
  result.revision = Now().revision();
  return result;
}

base::Status Mutation::Record(const HistoryRecord& record) {
  const Position at{base_ + 1, sub_};
  dirty_ = true;
  ++sub_;
  STRATA_RETURN_IF_ERROR(txn_.Append(Table::kHistory, HistoryKey(at), EncodeHistory(record)));
  return txn_.Put(Table::kIndex, IndexKey(record.key, at.revision),
                  EncodeIndex({.kind = record.kind,
                               .sub = at.sub,
                               .create_revision = record.create_revision,
                               .version = record.version,
                               .lease = record.lease}));
}

base::StatusOr<CompactResult> Mutation::Compact(const CompactRequest& request) {
  if (request.revision <= compacted_) return Compacted();
  if (request.revision > base_) return FutureRevision();
  dirty_ = true;
  const base::Status written = PutNumber(txn_, kMetaCompacted, request.revision);
  if (written.ok()) compacted_ = request.revision;
  return End(written.ok() ? base::StatusOr<CompactResult>(CompactResult{}) : written);
}

base::StatusOr<AlarmResult> Mutation::Set(const AlarmRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const int64_t before, ReadNumber(txn_, kMetaAlarms));
  const auto bit = static_cast<int64_t>(request.alarm);
  const int64_t after = request.raise ? before | bit : before & ~bit;
  if (after == before) return End(base::StatusOr<AlarmResult>(AlarmResult{}));
  dirty_ = true;
  const base::Status written = PutNumber(txn_, kMetaAlarms, after);
  return End(written.ok() ? base::StatusOr<AlarmResult>(AlarmResult{.changed = true}) : written);
}

base::StatusOr<LeaseGrantResult> Mutation::Grant(const LeaseGrantRequest& request) {
  if (request.ttl > kMaxLeaseTtl) return LeaseTtlTooLarge();
  STRATA_ASSIGN_OR_RETURN(const auto granted, GrantedTtl(txn_, request.id));
  if (granted) return LeaseExists();
  LeaseGrantResult result{.id = request.id, .ttl = std::max(request.ttl, kMinLeaseTtl)};
  dirty_ = true;
  const base::Status written = PutLease(txn_, result.id, result.ttl);
  return End(written.ok() ? base::StatusOr<LeaseGrantResult>(result) : written);
}

base::StatusOr<LeaseRevokeResult> Mutation::Revoke(const LeaseRevokeRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const auto granted, GrantedTtl(txn_, request.id));
  if (!granted) return LeaseNotFound();
  STRATA_RETURN_IF_ERROR(CheckRevisions());
  return End(DoRevoke(request.id));
}

base::StatusOr<LeaseRevokeResult> Mutation::DoRevoke(int64_t lease) {
  STRATA_ASSIGN_OR_RETURN(const auto keys, LeaseKeys(txn_, lease));
  dirty_ = true;
  for (const std::string& key : keys) STRATA_RETURN_IF_ERROR(DeleteOne(key, lease));
  STRATA_RETURN_IF_ERROR(txn_.Delete(Table::kLease, EncodeNumber(lease)));
  return LeaseRevokeResult{};
}

}  // namespace strata::engine
