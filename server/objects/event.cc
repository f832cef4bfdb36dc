#include "server/objects/event.h"

#include <utility>

namespace strata::objects {
namespace {

size_t BytesOf(const replica::Event& change) {
  return change.now.object.size() + (change.before ? change.before->object.size() : 0);
}

}  // namespace

std::shared_ptr<Event> EventOf(const Kind& kind, const replica::Event& change) {
  const base::Revision revision = change.now.revision;
  std::optional<Object> now = kind.Parse(change.now);
  if (now && !kind.Present(revision, *now)) now.reset();
  std::optional<Object> before;
  if (change.before) before = kind.Parse(*change.before);
  if (before)
    before->mutable_metadata().set_resource_version(now ? now->metadata().resource_version() : "");
  if (before && !kind.Present(revision, *before)) before.reset();
  if (!now && !before) return nullptr;
  return std::make_shared<Event>(kind.resource, revision, std::move(now), std::move(before),
                                 BytesOf(change));
}

Event::Meaning Event::MeaningTo(const Selector& selector) const {
  if (selector.all()) return meaning();
  const bool is = now_ && selector.Matches(*now_);
  const bool was = before_ && selector.Matches(*before_);
  if (is) return {was ? "MODIFIED" : "ADDED", false};
  return was ? Meaning{"DELETED", true} : Meaning{};
}

Event::Meaning Event::meaning() const {
  if (now_) return {before_ ? "MODIFIED" : "ADDED", false};
  return before_ ? Meaning{"DELETED", true} : Meaning{};
}

void Event::Keep(const WatchForm& form, bool before, base::WallTime now) {
  encoded_.try_emplace({form, before}, Encode(form, before, now));
}

std::shared_ptr<const std::string> Event::Find(const WatchForm& form, bool before) const {
  const auto found = encoded_.find({form, before});
  return found == encoded_.end() ? nullptr : found->second;
}

std::shared_ptr<const std::string> Event::Encode(const WatchForm& form, bool before,
                                                 base::WallTime now) const {
  if (auto found = Find(form, before)) return found;
  const Object& object = before ? *before_ : *now_;
  return std::make_shared<const std::string>(EncodeObject(resource_, *object.message, form, now));
}

size_t Event::encoded_bytes() const {
  size_t bytes = 0;
  for (const auto& [form, encoded] : encoded_) bytes += encoded->size();
  return bytes;
}

}  // namespace strata::objects
