#include "server/objects/list_reader.h"

#include <algorithm>
#include <utility>

namespace strata::objects {
namespace {

// Records in a page of small ones.
constexpr int64_t kPageRecords = 500;

// A list of what records hold several of has no token to go on with: cut, it would pass for whole.
ListQuery WithoutVainLimit(const Kind& kind, ListQuery query) {
  if (kind.expand != nullptr) query.limit = 0;
  return query;
}

}  // namespace

ListReader::ListReader(const replica::History& history, const records::Keys& keys, const Kind& kind,
                       ListQuery query)
    : history_(history),
      keys_(keys),
      kind_(kind),
      query_(WithoutVainLimit(kind, std::move(query))) {
  begin_ = keys.BeginOf(kind.record, query_.ns);
  position_.key = begin_ + query_.start;
  end_ = keys.EndOf(kind.record, query_.ns);
  if (!query_.name) return;
  position_.key = keys.KeyOf({kind.record, query_.ns, *query_.name});
  end_ = position_.key + '\0';
}

base::Status ListReader::ReadPage(Visit visit) {
  if (query_.stop.stop_requested()) return base::DeadlineExceededError("nobody waits any more");
  const bool limited = query_.limit > 0;
  const int64_t left = limited ? query_.limit - position_.taken : kPageRecords;
  replica::Selection selection{.begin = position_.key,
                               .end = end_,
                               .revision = query_.revision,
                               .limit = static_cast<size_t>(std::min(left, kPageRecords)),
                               .max_bytes = query_.page_bytes,
                               .count = limited && query_.selector.all() && !count_,
                               .deadline = query_.deadline,
                               .traceparent = query_.traceparent,
                               .stop = query_.stop};
  STRATA_ASSIGN_OR_RETURN(replica::Page page, history_.Read(selection));
  if (selection.count) count_ = page.count;
  Object object;  // one after the other, in the same memory
  for (size_t i = 0; i < page.records.size(); ++i) {
    const Taken taken = Take(page.records[i], object, visit);
    if (taken == Taken::kWhole) continue;
    position_.key = keys_.KeyOf(page.records[i].id);
    if (taken == Taken::kInPart) return base::OkStatus();
    if (i + 1 < page.records.size() || !page.next.empty())
      stopped_at_ = position_.key.substr(begin_.size());
    position_.key.clear();
    return base::OkStatus();
  }
  position_.key = std::move(page.next);
  return base::OkStatus();
}

ListReader::Taken ListReader::Take(const records::Change& record, Object& object, Visit visit) {
  if (!kind_.ParseInto(record, object)) return Taken::kWhole;
  if (query_.selector.asks_for_fields()) kind_.ReadFields(object);
  if (!query_.selector.Matches(object)) return Taken::kWhole;
  if (!kind_.Present(record.revision, object)) return Taken::kWhole;
  if (kind_.expand == nullptr) {
    visit(*object.message);
  } else if (!TakeParts(object, visit)) {
    return Taken::kInPart;
  }
  return ++position_.taken == query_.limit ? Taken::kToTheLimit : Taken::kWhole;
}

bool ListReader::TakeParts(const Object& object, Visit visit) {
  bool room = true;
  kind_.expand(*object.message, position_.part, [&](const Object& part) {
    ++position_.part;
    room = !query_.selector.Matches(part) || visit(*part.message);
    return room;
  });
  if (room) position_.part = 0;
  return room;
}

std::optional<int64_t> ListReader::remaining() const {
  if (!stopped_at_ || !count_) return std::nullopt;
  return *count_ - position_.taken;
}

}  // namespace strata::objects
