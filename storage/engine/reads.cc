#include "storage/engine/reads.h"

#include <algorithm>
#include <utility>

#include "storage/engine/check.h"
#include "storage/engine/hash.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/mutation.h"

namespace strata::engine {
namespace {

// What an id takes in a list of them.
constexpr size_t kLeaseIdBytes = 16;
// How much of the history may be read for each byte that is wanted.
constexpr size_t kReadPerWantedByte = 16;

// What `read` finds in one snapshot that nobody awaited the end of (tree::Txn::GiveWay).
template <typename Read>
auto Undisturbed(const Read& read) {
  for (;;) {
    if (auto found = read(); !absl::IsAborted(found.status())) return found;
  }
}

}  // namespace

base::StatusOr<std::optional<KeyValue>> Change::Prev() const {
  if (created() || revision() - 1 < view_.compacted()) return std::nullopt;
  return view_.Find(key(), revision() - 1);
}

template <typename Result>
base::StatusOr<Result> Reads::InNewest(
    absl::FunctionRef<base::StatusOr<Result>(tree::Txn&, const View&)> read) const {
  STRATA_ASSIGN_OR_RETURN(auto txn, env_.Snapshot());
  STRATA_ASSIGN_OR_RETURN(const View view, alarms_.Noted(txn, View::Of(txn)));
  return alarms_.Noted(txn, read(txn, view));
}

base::StatusOr<RangeResult> Reads::Range(const RangeRequest& request, AnswerBytes& answer) const {
  STRATA_RETURN_IF_ERROR(Check(request));
  return InNewest<RangeResult>([&](tree::Txn&, const View& view) -> base::StatusOr<RangeResult> {
    STRATA_ASSIGN_OR_RETURN(RangeResult result, view.Range(request, answer));
    result.revision = view.revision();
    return result;
  });
}

base::StatusOr<TxnResult> Reads::Txn(const TxnRequest& request, AnswerBytes& answer) const {
  STRATA_RETURN_IF_ERROR(Check(request, max_txn_ops_));
  return InNewest<TxnResult>(
      [&](tree::Txn& txn, const View& view) { return Mutation(txn, view).Run(request, answer); });
}

base::StatusOr<ChangesEnd> Reads::Changes(
    Revision from, size_t max_bytes,
    absl::FunctionRef<base::StatusOr<size_t>(const Change&)> visit) const {
  return InNewest<ChangesEnd>([&](tree::Txn&, const View& view) -> base::StatusOr<ChangesEnd> {
    ChangesEnd end{.next = from, .current = view.revision(), .compacted = view.compacted()};
    if (from < end.compacted) return end;
    end.next = std::max(from, end.current + 1);
    size_t wanted = 0;
    size_t read = 0;
    STRATA_RETURN_IF_ERROR(
        view.History(from, [&](const ChangeRef& ref, bool last) -> base::StatusOr<bool> {
          const Change change(view, ref);
          STRATA_ASSIGN_OR_RETURN(const size_t taken, visit(change));
          wanted += taken;
          read += change.size();
          if (!last || (wanted < max_bytes && read / kReadPerWantedByte < max_bytes)) return true;
          end.next = change.revision() + 1;
          return false;
        }));
    return end;
  });
}

base::Status Reads::Look(absl::FunctionRef<base::Status(const View&)> look) const {
  return InNewest<bool>([&](tree::Txn&, const View& view) -> base::StatusOr<bool> {
           STRATA_RETURN_IF_ERROR(look(view));
           return true;
         })
      .status();
}

base::StatusOr<HashResult> Reads::Hash(Revision revision) const {
  const auto hash = [&](tree::Txn&, const View& view) -> base::StatusOr<HashResult> {
    STRATA_RETURN_IF_ERROR(view.CheckRevision(revision));
    HashResult result;
    result.revision = view.revision();
    result.hash_revision = revision > 0 ? revision : view.revision();
    result.compact_revision = view.compacted();
    STRATA_ASSIGN_OR_RETURN(result.hash, HashHistory(view, result.hash_revision));
    return result;
  };
  return Undisturbed([&] { return InNewest<HashResult>(hash); });
}

base::StatusOr<Verified> Reads::Verify() const {
  return Undisturbed([&]() -> base::StatusOr<Verified> {
    STRATA_ASSIGN_OR_RETURN(const auto txn, env_.Snapshot());
    return alarms_.Noted(txn, VerifyTables(txn));
  });
}

base::StatusOr<LeaseTimeToLive> Reads::TimeToLive(int64_t lease, const Leases& deadlines,
                                                  bool with_keys, AnswerBytes& answer) const {
  return InNewest<LeaseTimeToLive>(
      [&](tree::Txn& txn, const View& view) -> base::StatusOr<LeaseTimeToLive> {
        LeaseTimeToLive result;
        result.revision = view.revision();
        STRATA_ASSIGN_OR_RETURN(const auto granted, GrantedTtl(txn, lease));
        const auto left = deadlines.Remaining(lease);
        if (!granted || !left) return result;
        result.ttl = *left;
        result.granted_ttl = *granted;
        if (with_keys) {
          STRATA_ASSIGN_OR_RETURN(result.keys, LeaseKeys(txn, lease, &answer));
        }
        return result;
      });
}

base::StatusOr<LeaseList> Reads::ListLeases(AnswerBytes& answer) const {
  return InNewest<LeaseList>([&](tree::Txn& txn, const View& view) -> base::StatusOr<LeaseList> {
    LeaseList list{.revision = view.revision(), .ids = {}};
    STRATA_RETURN_IF_ERROR(ForEachLease(txn, [&](int64_t id, int64_t /*ttl*/) {
      base::Status counted = answer.Add(kLeaseIdBytes);
      if (counted.ok()) list.ids.push_back(id);
      return counted;
    }));
    return list;
  });
}

}  // namespace strata::engine
