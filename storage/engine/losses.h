// What a store lacks whose tables were gathered from a damaged one: they tell of each other.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "storage/engine/layout.h"
#include "storage/engine/tree/txn.h"
#include "storage/engine/types.h"

namespace strata::engine {

// Belongs to one thread, and ends before its transaction.
class Losses {
 public:
  // `tell` gets a line for each loss, and one for what became of each key.
  Losses(const tree::Txn& txn, absl::FunctionRef<void(std::string_view line)> tell)
      : txn_(txn), tell_(tell) {}

  // The changes that aren't in the history, and the leases that aren't there. Of what was compacted
  // only those that the index has.
  base::Status Name(Revision compacted);

  // Revisions of keys, those of which nobody knows the keys, and leases.
  int64_t count() const { return count_; }
  // That any of the tables knows.
  Revision newest() const { return newest_; }

 private:
  base::Status NameVersions();
  base::StatusOr<bool> InHistory(std::string_view escaped, Position at) const;
  void TellOf(std::string_view escaped, std::vector<Revision>& missing, std::string_view now);
  base::Status NameRevisions(Revision compacted);
  void NameBetween(Revision before, Revision next);
  base::Status NameLeases();

  const tree::Txn& txn_;
  const absl::FunctionRef<void(std::string_view line)> tell_;
  std::set<Revision> known_;  // that the index has and the history lacks
  Revision newest_ = 1;       // a new store's
  int64_t count_ = 0;
};

}  // namespace strata::engine
