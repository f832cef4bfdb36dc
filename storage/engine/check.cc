#include "storage/engine/check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "storage/engine/errors.h"
#include "storage/engine/layout.h"

namespace strata::engine {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

base::Status CheckShape(const TxnRequest& request, size_t max_ops) {
  const size_t ops =
      std::max({request.compares.size(), request.success.size(), request.failure.size()});
  if (ops > max_ops) return TooManyOps();
  for (const Compare& compare : request.compares) {
    if (compare.key.empty()) return EmptyKey();
  }
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Op& op : *branch) {
      STRATA_RETURN_IF_ERROR(std::visit(
          Overloaded{[](std::monostate) { return KeyNotFound(); },
                     [&](const TxnRequest& nested) { return CheckShape(nested, max_ops - ops); },
                     [](const auto& simple) { return Check(simple); }},
          op.request));
    }
  }
  return base::OkStatus();
}

// The keys that some operations may change, to find those that could change twice.
class Footprint {
 public:
  base::Status AddAll(const std::vector<Op>& ops) {
    for (const Op& op : ops) {
      Footprint added;
      STRATA_RETURN_IF_ERROR(added.Start(op));
      if (Conflicts(added) || added.Conflicts(*this)) return DuplicateKey();
      Merge(std::move(added));
    }
    return base::OkStatus();
  }

 private:
  // No end is infinity.
  using End = std::optional<std::string>;

  // Makes this, which is empty, the footprint of one operation.
  base::Status Start(const Op& op) {
    if (const auto* put = std::get_if<PutRequest>(&op.request)) puts_.insert(put->key);
    if (const auto* erase = std::get_if<DeleteRequest>(&op.request)) StartDelete(*erase);
    const auto* txn = std::get_if<TxnRequest>(&op.request);
    if (txn == nullptr) return base::OkStatus();
    // Only one branch is done, so the two may change the same keys.
    Footprint failure;
    STRATA_RETURN_IF_ERROR(AddAll(txn->success));
    STRATA_RETURN_IF_ERROR(failure.AddAll(txn->failure));
    Merge(std::move(failure));
    return base::OkStatus();
  }

  void StartDelete(const DeleteRequest& request) {
    if (request.range_end.empty()) {
      AddDelete(request.key, request.key + '\0');
    } else if (request.range_end == std::string_view("\0", 1)) {
      AddDelete(request.key, std::nullopt);
    } else {
      AddDelete(request.key, request.range_end);
    }
  }

  // Ranges that overlap or meet become one.
  void AddDelete(std::string begin, End end) {
    if (end && *end <= begin) return;
    auto at = deletes_.upper_bound(begin);
    if (at != deletes_.begin() && Reaches(std::prev(at)->second, begin)) {
      --at;
      begin = at->first;
    }
    while (at != deletes_.end() && Reaches(end, at->first)) {
      if (!at->second || (end && *at->second > *end)) end = at->second;
      at = deletes_.erase(at);
    }
    deletes_.emplace(std::move(begin), std::move(end));
  }

  static bool Reaches(const End& end, std::string_view key) { return !end || *end >= key; }

  bool Deletes(std::string_view key) const {
    const auto after = deletes_.upper_bound(std::string(key));
    if (after == deletes_.begin()) return false;
    const End& end = std::prev(after)->second;
    return !end || key < *end;
  }

  // `other` puts a key that this puts or deletes. Two deletions don't conflict: the second finds
  // nothing.
  bool Conflicts(const Footprint& other) const {
    return std::any_of(other.puts_.begin(), other.puts_.end(),
                       [&](std::string_view key) { return puts_.contains(key) || Deletes(key); });
  }

  void Merge(Footprint other) {
    puts_.merge(other.puts_);
    for (auto& [begin, end] : other.deletes_) AddDelete(begin, std::move(end));
  }

  std::set<std::string_view> puts_;     // into the request
  std::map<std::string, End> deletes_;  // disjoint
};

bool AllRead(const std::vector<Op>& ops) {
  return std::all_of(ops.begin(), ops.end(), [](const Op& op) {
    const auto* txn = std::get_if<TxnRequest>(&op.request);
    return txn != nullptr ? IsReadOnly(*txn) : std::holds_alternative<RangeRequest>(op.request);
  });
}

}  // namespace

base::Status Check(const RangeRequest& request) {
  return request.key.empty() ? EmptyKey() : base::OkStatus();
}

base::Status Check(const PutRequest& request) {
  if (request.key.empty()) return EmptyKey();
  if (request.ignore_value && !request.value.empty()) return ValueProvided();
  if (request.ignore_lease && request.lease != 0) return LeaseProvided();
  return KeyFits(request.key) ? base::OkStatus() : KeyTooLong();
}

base::Status Check(const DeleteRequest& request) {
  return request.key.empty() ? EmptyKey() : base::OkStatus();
}

base::Status Check(const TxnRequest& request, size_t max_ops) {
  STRATA_RETURN_IF_ERROR(CheckShape(request, max_ops));
  STRATA_RETURN_IF_ERROR(Footprint().AddAll(request.success));
  return Footprint().AddAll(request.failure);
}

bool IsReadOnly(const TxnRequest& request) {
  return AllRead(request.success) && AllRead(request.failure);
}

}  // namespace strata::engine
