// The objects that a list holds, read a page of records at a time, all as of one revision.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "server/api/list_options.h"
#include "server/objects/kind.h"
#include "server/objects/selector.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::objects {

// Which objects, of one request.
struct ListQuery {
  std::string ns;                   // empty: of all namespaces, or of none
  std::optional<std::string> name;  // of the only record; then `ns` isn't empty where there is one
  Selector selector;                // which of them
  int64_t limit = 0;                // records; 0, and where one holds several objects: no limit
  std::string start;  // the first key, relative to the namespace's; empty: the first that there is
  base::Revision revision = 0;
  size_t page_bytes = 128 << 10;  // of records: what one turn of a worker makes
  base::MonotonicTime deadline;
  std::stop_token stop{};  // nobody waits for it any more
  std::string traceparent{};

  // Whether it is asked for, whatever the record says.
  bool Covers(const records::Id& id) const {
    return (ns.empty() || id.ns == ns) && (!name || id.name == *name);
  }
};

// For one thread at a time, which waits.
class ListReader {
 public:
  // All outlive it but the query.
  ListReader(const replica::History& history, const records::Keys& keys, const Kind& kind,
             ListQuery query);

  // Where reading stands: what follows it can be read again.
  struct Position {
    std::string key;  // empty: everything has been read
    int64_t taken = 0;
    size_t part = 0;  // of the record at `key`, where a record holds several objects
  };
  const Position& position() const { return position_; }
  void Return(Position position) { position_ = std::move(position); }
  bool done() const { return position_.key.empty(); }

  // The objects of the next page. Records that can't be read are left out. Where a record holds
  // several the page is over, within it, once `visit` says that there is no room for more.
  // kOutOfRange: nobody has that revision any more.
  using Visit = absl::FunctionRef<bool(const google::protobuf::Message& object)>;
  base::Status ReadPage(Visit visit);

  // Once done, if the limit left something out: the last record's key, relative to the namespace's;
  // and how many records come behind it, where that is known.
  const std::optional<std::string>& stopped_at() const { return stopped_at_; }
  std::optional<int64_t> remaining() const;

  const ListQuery& query() const { return query_; }
  const Kind& kind() const { return kind_; }

 private:
  enum class Taken { kWhole, kToTheLimit, kInPart };
  Taken Take(const records::Change& record, Object& object, Visit visit);
  // False if there was no room for all from position_.part on.
  bool TakeParts(const Object& object, Visit visit);

  const replica::History& history_;
  const records::Keys& keys_;
  const Kind& kind_;
  const ListQuery query_;
  std::string begin_;  // of the namespace's keys
  std::string end_;    // of those that are read
  Position position_;
  std::optional<int64_t> count_;  // from the first
  std::optional<std::string> stopped_at_;
};

}  // namespace strata::objects
