#include "storage/engine/commit.h"

#include <utility>

#include "storage/engine/mutation.h"
#include "storage/engine/view.h"

namespace strata::engine {
namespace {

using End = Outcome::End;

// Of a transaction that failed for `why`: for want of room, or else `otherwise`.
Outcome Failed(const tree::Txn& txn, base::Status why, End otherwise) {
  End end = otherwise;
  if (txn.map_full()) end = End::kMapFull;
  if (txn.disk_full()) end = End::kDiskFull;
  return {.end = end, .why = std::move(why)};
}

// Of a transaction that must not be committed.
Outcome Spoilt(const tree::Txn& txn, const Mutation& mutation, Alarms& alarms) {
  if (!mutation.refusal().ok()) return Failed(txn, mutation.refusal(), End::kSpoilt);
  Outcome outcome = Failed(txn, base::InternalError("the store is damaged"), End::kSpoilt);
  if (outcome.end == End::kSpoilt) alarms.NoteDamage(outcome.why);
  return outcome;
}

}  // namespace

Outcome TryCommit(tree::Environment& env, const Batch& batch, Alarms& alarms) {
  auto txn = env.Begin();
  if (!txn.ok()) return {.end = End::kDiskFailed, .why = txn.status()};
  const auto before = alarms.Noted(*txn, View::Of(*txn));
  if (!before.ok()) return {.end = End::kSpoilt, .why = before.status()};

  Mutation mutation(*txn, *before);
  for (const auto& write : batch) {
    write->Apply(mutation);
    if (mutation.spoilt()) break;
  }
  if (base::Status whole = txn->Whole(); !whole.ok()) {
    alarms.NoteDamage(whole);
    return Failed(*txn, std::move(whole), End::kSpoilt);
  }
  if (mutation.spoilt()) return Spoilt(*txn, mutation, alarms);
  if (!mutation.dirty()) return {.end = End::kUnchanged};
  if (base::Status committed = txn->Commit(); !committed.ok()) {
    return Failed(*txn, std::move(committed), End::kDiskFailed);
  }
  return {.end = End::kCommitted,
          .revision = mutation.revision(),
          .compacted = mutation.compacted(),
          .compacts = mutation.compacted() > before->compacted()};
}

}  // namespace strata::engine
