#include "storage/replica/backend_reader.h"

#include <algorithm>
#include <string>

#include "storage/reflector/key_range.h"
#include "storage/replica/reading.h"

namespace strata::replica {
namespace {

// Some megabytes of records.
constexpr int64_t kMostAtATime = 500;

}  // namespace

// Asks for fewer records if the backend or gRPC finds them too large.
base::StatusOr<client::RangeResult> BackendReader::Fetch(const Selection& selection,
                                                         const std::string& from, size_t records,
                                                         int64_t& most) const {
  while (true) {
    const int64_t limit = std::min(most, static_cast<int64_t>(records));
    auto found = client_.Range({.key = from,
                                .end = selection.end,
                                .limit = limit,
                                .revision = selection.revision,
                                .traceparent = selection.traceparent},
                               selection.deadline);
    if (found.status().code() != base::StatusCode::kResourceExhausted || limit <= 1) return found;
    most = limit / 2;
  }
}

base::StatusOr<Page> BackendReader::Read(const Selection& selection) const {
  const size_t limit = selection.limit == 0 ? INT64_MAX : selection.limit;
  const size_t max_bytes = selection.max_bytes == 0 ? SIZE_MAX : selection.max_bytes;
  Page page;
  size_t bytes = 0;
  const auto full = [&] { return page.records.size() == limit || bytes >= max_bytes; };
  int64_t most = kMostAtATime;
  std::string from = selection.begin;
  bool more = true;
  while (more && !full()) {
    STRATA_ASSIGN_OR_RETURN(client::RangeResult found,
                            Fetch(selection, from, limit - page.records.size(), most));
    if (found.more && (found.kvs.empty() || found.kvs.back().key < from))
      return base::UnavailableError("the backend answered a part of a list that can't be");
    if (selection.count && page.count == 0) page.count = found.count;
    more = found.more;
    for (client::KeyValue& kv : found.kvs) {
      more |= full();
      if (full()) break;
      from = reflector::After(kv.key);
      auto id = keys_.Parse(kv.key);
      if (!id) continue;
      page.records.push_back(records::Decode(*std::move(id), std::move(kv.value), kv.mod_revision));
      bytes += BytesOf(page.records.back());
    }
  }
  if (more) page.next = std::move(from);
  return page;
}

base::StatusOr<std::optional<records::Change>> BackendReader::Find(
    const records::Id& id, base::Revision revision, base::MonotonicTime deadline) const {
  STRATA_ASSIGN_OR_RETURN(client::RangeResult found,
                          client_.Range({.key = keys_.KeyOf(id), .revision = revision}, deadline));
  if (found.kvs.empty()) return std::nullopt;
  client::KeyValue& kv = found.kvs.front();
  return records::Decode(id, std::move(kv.value), kv.mod_revision);
}

}  // namespace strata::replica
