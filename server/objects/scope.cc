#include "server/objects/scope.h"

#include <utility>

#include "server/objects/watch.h"

namespace strata::objects {

std::vector<std::shared_ptr<Watch>> Scope::Add(std::shared_ptr<Event> event) {
  base::MutexLock lock(&mu);
  events_.push_back(std::move(event));
  return TakeWaiting();
}

void Scope::Drop(const Event& event) {
  std::shared_ptr<Event> dropped;  // freed outside of the lock
  base::MutexLock lock(&mu);
  if (events_.empty() || events_.front().get() != &event) return;
  from_ = event.revision();
  dropped = std::move(events_.front());
  events_.pop_front();
  ++first_;
}

void Scope::End() {
  std::vector<std::shared_ptr<Watch>> waiting;
  {
    base::MutexLock lock(&mu);
    ended_ = true;
    waiting = TakeWaiting();
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

std::vector<std::shared_ptr<Watch>> Scope::TakeWaiting() {
  std::vector<std::shared_ptr<Watch>> waiting;
  for (Watch* watch : watches_) {
    if (!std::exchange(watch->waiting_, false)) continue;
    if (auto held = watch->weak_from_this().lock()) waiting.push_back(std::move(held));
  }
  return waiting;
}

}  // namespace strata::objects
