#include "server/objects/scope.h"

#include <iterator>
#include <utility>

#include "server/objects/watch.h"

namespace strata::objects {

std::vector<std::shared_ptr<Watch>> Scope::Add(Events events) {
  base::MutexLock lock(&mu);
  const base::Revision revision = events.front()->revision();
  std::move(events.begin(), events.end(), std::back_inserter(events_));
  return TakeWaiting(revision);
}

void Scope::Drop(base::Revision revision) {
  Events dropped;  // freed outside of the lock
  base::MutexLock lock(&mu);
  for (; !events_.empty() && events_.front()->revision() == revision; events_.pop_front()) {
    from_ = revision;
    dropped.push_back(std::move(events_.front()));
    ++first_;
  }
}

std::vector<std::shared_ptr<Watch>> Scope::Skip(base::Revision revision) {
  decltype(events_) dropped;  // freed outside of the lock
  base::MutexLock lock(&mu);
  dropped.swap(events_);
  from_ = revision;
  first_ += dropped.size() + 1;  // nobody stands there
  return TakeWaiting(revision);
}

void Scope::End() {
  std::vector<std::shared_ptr<Watch>> waiting;
  {
    base::MutexLock lock(&mu);
    ended_ = true;
    for (Watch* watch : watches_) watch->Stop();
    waiting = TakeWaiting(from_);
  }
  for (const auto& watch : waiting) watch->Wake();
}

std::vector<WatchForm> Scope::forms() const {
  base::MutexLock lock(&mu);
  std::vector<WatchForm> forms;
  forms.reserve(forms_.size());
  for (const auto& [form, count] : forms_) forms.push_back(form);
  return forms;
}

std::vector<std::shared_ptr<Watch>> Scope::TakeWaiting(base::Revision coming) {
  std::vector<std::shared_ptr<Watch>> waiting;
  for (Watch* watch : watches_) {
    if (!watch->StopWaiting(coming - 1)) continue;
    if (auto held = watch->weak_from_this().lock()) waiting.push_back(std::move(held));
  }
  return waiting;
}

}  // namespace strata::objects
