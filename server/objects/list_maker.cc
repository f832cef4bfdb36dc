#include "server/objects/list_maker.h"

#include <utility>

#include "server/api/continue_token.h"

namespace strata::objects {
namespace {

// Of the objects of one record, each of which may be as large as it: what a turn of a worker makes.
constexpr size_t kMostOfAPage = 1 << 20;

}  // namespace

ListMaker::ListMaker(ListReader reader, ListEncoder encoder, base::Shares& memory, std::string user)
    : reader_(std::move(reader)),
      encoder_(std::move(encoder)),
      memory_(memory),
      user_(std::move(user)) {}

base::Status ListMaker::Prepare() {
  const bool whole = encoder_.needs_size() || reader_.query().limit > 0;
  size_t item_bytes = 0;
  do {
    STRATA_ASSIGN_OR_RETURN(std::string items, NextItems());
    item_bytes += items.size();
    Keep(std::move(items));
  } while (whole && !reader_.done());
  ListEncoder::Frame frame = encoder_.Around(Metadata(), item_bytes);
  head_ = std::move(frame.head);
  tail_ = std::move(frame.tail);
  reader_.Return(end_);
  any_ = !kept_.empty();
  return base::OkStatus();
}

void ListMaker::Keep(std::string bytes) {
  if (!keeping_) return;
  auto room =
      memory_.Take(user_, base::Shares::Claim::kFair, static_cast<int64_t>(bytes.capacity()));
  // The first of all is kept in any case: it is what an answer costs at least.
  keeping_ = room || kept_.empty();
  if (!keeping_) return;
  end_ = reader_.position();
  if (!bytes.empty()) kept_.push_back({std::move(bytes), std::move(room)});
}

base::StatusOr<std::string> ListMaker::NextItems() {
  std::string items;
  while (items.empty() && !reader_.done()) {
    STRATA_RETURN_IF_ERROR(reader_.ReadPage([&](const google::protobuf::Message& object) {
      encoder_.Append(object, !any_, items);
      any_ = true;
      return items.size() < kMostOfAPage;
    }));
  }
  return items;
}

base::StatusOr<std::string> ListMaker::Next() {
  std::string piece = std::exchange(head_, {});
  if (!kept_.empty()) {
    piece += kept_.front().bytes;
    kept_.pop_front();
  } else {
    STRATA_ASSIGN_OR_RETURN(const std::string items, NextItems());
    piece += items;
  }
  if (kept_.empty() && reader_.done()) piece += std::exchange(tail_, {});
  return piece;
}

meta::ListMeta ListMaker::Metadata() const {
  meta::ListMeta metadata;
  const ListQuery& query = reader_.query();
  if (reader_.kind().expand != nullptr) return metadata;
  metadata.set_resource_version(std::to_string(query.revision));
  if (!reader_.stopped_at()) return metadata;
  metadata.set_continue_(api::ContinueBehind(*reader_.stopped_at(), query.revision));
  if (const auto remaining = reader_.remaining()) metadata.set_remaining_item_count(*remaining);
  return metadata;
}

}  // namespace strata::objects
