#include "storage/engine/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "storage/engine/errors.h"
#include "storage/engine/meta.h"

namespace strata::engine {
namespace {

using tree::Cursor;
using tree::Table;

// An empty store is at revision 1, as etcd's is: the first write is 2.
constexpr Revision kFirstRevision = 1;

// How many versions a walk steps over before it searches instead.
constexpr int kStepsBeforeSeek = 4;

base::Status Damaged(std::string_view what) {
  return base::DataLossError(fmt::format("the store is damaged: {}", what));
}

// Moves from a version of `escaped` to the first version of another key.
void NextKey(Cursor& cursor, std::string_view escaped) {
  for (int step = 0; step < kStepsBeforeSeek; ++step) {
    cursor.Next();
    if (!cursor.valid() || !cursor.key().starts_with(escaped)) return;
  }
  cursor.Seek(AfterEscaped(escaped));
}

// Moves to the newest version of `escaped` that isn't newer than `revision`; false if the key has
// none.
base::StatusOr<bool> SettleAt(Cursor& cursor, std::string_view escaped, Revision revision) {
  for (int step = 0; cursor.valid() && cursor.key().starts_with(escaped); ++step) {
    const auto parts = ParseIndexKey(cursor.key());
    if (!parts) return Damaged("an index key has no revision");
    if (parts->escaped != escaped) return false;
    if (parts->revision <= revision) return true;
    if (step < kStepsBeforeSeek) {
      cursor.Next();
    } else {
      cursor.Seek(std::string(escaped) + EncodeNumber(~revision));
    }
  }
  return false;
}

KeyValue WithoutValue(const Version& version) {
  KeyValue kv;
  kv.key = Unescape(version.escaped);
  kv.create_revision = version.record.create_revision;
  kv.mod_revision = version.revision;
  kv.version = version.record.version;
  kv.lease = version.record.lease;
  return kv;
}

bool Passes(const RangeRequest& request, const Version& version) {
  const Revision mod = version.revision;
  const Revision create = version.record.create_revision;
  return (request.min_mod_revision == 0 || mod >= request.min_mod_revision) &&
         (request.max_mod_revision == 0 || mod <= request.max_mod_revision) &&
         (request.min_create_revision == 0 || create >= request.min_create_revision) &&
         (request.max_create_revision == 0 || create <= request.max_create_revision);
}

template <typename Field>
void SortBy(std::vector<KeyValue>& kvs, Field field, bool descending) {
  std::stable_sort(kvs.begin(), kvs.end(), [&](const KeyValue& a, const KeyValue& b) {
    return descending ? std::invoke(field, b) < std::invoke(field, a)
                      : std::invoke(field, a) < std::invoke(field, b);
  });
}

void Sort(const RangeRequest& request, std::vector<KeyValue>& kvs) {
  const bool descending = request.sort_order == SortOrder::kDescend;
  switch (request.sort_target) {
    case SortTarget::kKey:
      if (descending) std::reverse(kvs.begin(), kvs.end());
      break;
    case SortTarget::kVersion:
      return SortBy(kvs, &KeyValue::version, descending);
    case SortTarget::kCreate:
      return SortBy(kvs, &KeyValue::create_revision, descending);
    case SortTarget::kMod:
      return SortBy(kvs, &KeyValue::mod_revision, descending);
    case SortTarget::kValue:
      return SortBy(kvs, &KeyValue::value, descending);
  }
}

}  // namespace

KeyValue ToKeyValue(const ChangeRef& change) {
  KeyValue kv;
  kv.key = change.record.key;
  kv.mod_revision = change.at.revision;
  if (change.record.kind == Kind::kTombstone) return kv;
  kv.value = change.record.value;
  kv.create_revision = change.record.create_revision;
  kv.version = change.record.version;
  kv.lease = change.record.lease;
  return kv;
}

base::StatusOr<View> View::Of(const tree::Txn& txn) {
  STRATA_ASSIGN_OR_RETURN(const Revision compacted, ReadRevision(txn, kMetaCompacted));
  Cursor cursor(txn, Table::kHistory);
  cursor.Last();
  STRATA_RETURN_IF_ERROR(cursor.status());
  Revision last = kFirstRevision;
  if (cursor.valid()) {
    const auto at = ParseHistoryKey(cursor.key());
    if (!at) return Damaged("the history ends in a key of another form");
    last = at->revision;
  }
  // No revision comes again, whatever became of its changes.
  return View(txn, std::max(last, compacted), compacted);
}

base::Status View::CheckRevision(Revision revision) const {
  if (revision <= 0) return base::OkStatus();
  if (revision > revision_) return FutureRevision();
  if (revision < compacted_) return Compacted();
  return base::OkStatus();
}

base::Status View::Walk(std::string_view key, std::string_view range_end, Revision revision,
                        absl::FunctionRef<base::StatusOr<bool>(const Version&)> visit) const {
  const bool to_the_end = range_end == std::string_view("\0", 1);
  const std::string end = range_end.empty() ? IndexAfter(key) : IndexLowerBound(range_end);
  Cursor cursor(txn_, Table::kIndex);
  cursor.Seek(IndexLowerBound(key));
  while (cursor.valid() && (to_the_end || cursor.key() < end)) {
    const auto parts = ParseIndexKey(cursor.key());
    if (!parts) return Damaged("an index key has no revision");
    const std::string_view escaped = parts->escaped;  // stays: nobody writes during a walk
    STRATA_ASSIGN_OR_RETURN(const bool found, SettleAt(cursor, escaped, revision));
    if (!found) continue;
    const auto record = ParseIndex(cursor.value());
    if (!record) return Damaged("an index entry has another form");
    if (record->kind == Kind::kPut) {
      const Version version{escaped, ParseIndexKey(cursor.key())->revision, *record};
      STRATA_ASSIGN_OR_RETURN(const bool more, visit(version));
      if (!more) return base::OkStatus();
    }
    NextKey(cursor, escaped);
  }
  return cursor.status();
}

base::StatusOr<KeyValue> View::Load(const Version& version, bool with_value,
                                    AnswerBytes* answer) const {
  if (with_value) {
    Cursor history(txn_, Table::kHistory);
    return Load(version, history, answer);
  }
  KeyValue kv = WithoutValue(version);
  if (answer != nullptr) STRATA_RETURN_IF_ERROR(answer->Add(kv, 0));
  return kv;
}

base::StatusOr<KeyValue> View::Load(const Version& version, Cursor& history,
                                    AnswerBytes* answer) const {
  KeyValue kv = WithoutValue(version);
  history.Find(HistoryKey({version.revision, version.record.sub}));
  STRATA_RETURN_IF_ERROR(history.status());
  const auto record = history.valid() ? ParseHistory(history.value()) : std::nullopt;
  if (!record || record->key != kv.key) {
    return Damaged(
        fmt::format("revision {} is in the index but not in the history", version.revision));
  }
  if (answer != nullptr) STRATA_RETURN_IF_ERROR(answer->Add(kv, record->value.size()));
  kv.value = record->value;
  return kv;
}

base::StatusOr<std::optional<KeyValue>> View::Find(std::string_view key, Revision revision,
                                                   AnswerBytes* answer) const {
  std::optional<KeyValue> found;
  STRATA_RETURN_IF_ERROR(
      Walk(key, {}, revision, [&](const Version& version) -> base::StatusOr<bool> {
        STRATA_ASSIGN_OR_RETURN(found, Load(version, /*with_value=*/true, answer));
        return false;
      }));
  return found;
}

base::StatusOr<Revision> View::NewestRevision(std::string_view key, Revision revision) const {
  Revision newest = 0;
  STRATA_RETURN_IF_ERROR(
      Walk(key, {}, revision, [&](const Version& version) -> base::StatusOr<bool> {
        newest = version.revision;
        return false;
      }));
  return newest;
}

base::StatusOr<RangeResult> View::Range(const RangeRequest& request, AnswerBytes& answer) const {
  STRATA_RETURN_IF_ERROR(CheckRevision(request.revision));
  const Revision at = request.revision > 0 ? request.revision : revision_;
  const bool sorts =
      request.sort_target != SortTarget::kKey || request.sort_order == SortOrder::kDescend;
  // Values are read for what is answered; sorting needs to see all before it can tell what that is,
  // and by value needs the values.
  const bool by_value = sorts && request.sort_target == SortTarget::kValue;
  const bool late = sorts && !by_value && !request.keys_only && request.limit > 0;
  const bool load_values = by_value || (!request.keys_only && !late);
  const size_t limit = request.limit > 0 ? static_cast<size_t>(request.limit) : SIZE_MAX;
  // A target without an order sorts, ascending, what the limit has left over, and one more (etcd
  // txn/range.go).
  const bool filters = request.min_mod_revision != 0 || request.max_mod_revision != 0 ||
                       request.min_create_revision != 0 || request.max_create_revision != 0;
  const bool sorts_few = sorts && request.sort_order == SortOrder::kNone && !filters;

  RangeResult result;
  Cursor history(txn_, Table::kHistory);
  STRATA_RETURN_IF_ERROR(
      Walk(request.key, request.range_end, at, [&](const Version& version) -> base::StatusOr<bool> {
        ++result.count;
        if (request.count_only || !Passes(request, version)) return true;
        if ((!sorts && result.kvs.size() == limit) ||
            (sorts_few && limit != SIZE_MAX && result.kvs.size() > limit)) {
          result.more = true;
          return true;
        }
        STRATA_ASSIGN_OR_RETURN(KeyValue kv, load_values
                                                 ? Load(version, history, &answer)
                                                 : Load(version, /*with_value=*/false, &answer));
        result.kvs.push_back(std::move(kv));
        return true;
      }));
  if (!sorts) return result;

  Sort(request, result.kvs);
  if (result.kvs.size() > limit) {
    result.kvs.resize(limit);
    result.more = true;
  }
  for (KeyValue& kv : result.kvs) {
    if (request.keys_only) kv.value.clear();
    if (!late) continue;
    STRATA_ASSIGN_OR_RETURN(auto whole, Find(kv.key, at, &answer));
    if (!whole) return Damaged("a version that was there is gone");
    kv = *std::move(whole);
  }
  return result;
}

base::Status View::History(
    Revision from, absl::FunctionRef<base::StatusOr<bool>(const ChangeRef&, bool)> visit) const {
  Cursor cursor(txn_, Table::kHistory);
  cursor.Seek(HistoryKey({from, 0}));
  while (cursor.valid()) {
    const auto at = ParseHistoryKey(cursor.key());
    const auto record = ParseHistory(cursor.value());
    if (!at || !record) return Damaged("a history entry has another form");
    // A snapshot's bytes stay where they are, so `record` outlives the cursor's step.
    cursor.Next();
    const auto next = cursor.valid() ? ParseHistoryKey(cursor.key()) : std::nullopt;
    const bool last = !next || next->revision != at->revision;
    STRATA_ASSIGN_OR_RETURN(const bool more, visit({*at, *record}, last));
    if (!more) break;
  }
  return cursor.status();
}

}  // namespace strata::engine
