// What a selection of keys is among the entries of one kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::views {

class KeyRange {
 public:
  KeyRange(const records::Keys& keys, records::Kind kind, const replica::Selection& selection)
      : limit_(selection.limit), max_bytes_(selection.max_bytes) {
    const std::string first = keys.BeginOf(kind);
    begin_ = Strip(first, selection.begin);
    end_ = Strip(first, selection.end);
  }

  // It begins behind all of them.
  bool is_empty() const { return !begin_; }
  // The first name, "namespace/name" where there are namespaces, that may be in it.
  const std::string& begin() const { return *begin_; }
  bool IsBehind(std::string_view name) const { return end_ && name >= *end_; }
  // Whether a page has what it may hold.
  bool IsFull(size_t records, size_t bytes) const {
    return (limit_ != 0 && records >= limit_) ||
           (max_bytes_ != 0 && records > 0 && bytes >= max_bytes_);
  }
  // How many of an order's entries are in it.
  template <typename Order>
  int64_t CountIn(const Order& order) const {
    const size_t behind = end_ ? order.CountFrom(*end_) : 0;
    return static_cast<int64_t>(order.CountFrom(*begin_) - behind);
  }

 private:
  // Nothing: behind all keys that begin with `first`.
  static std::optional<std::string> Strip(std::string_view first, std::string_view key) {
    if (key.starts_with(first)) return std::string(key.substr(first.size()));
    if (key < first) return "";
    return std::nullopt;
  }

  std::optional<std::string> begin_, end_;
  const size_t limit_, max_bytes_;
};

}  // namespace strata::views
