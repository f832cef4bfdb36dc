// What waits for one of a few places: users take turns, so that nobody takes all of them.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/limit.h"
#include "lib/base/string_map.h"

namespace strata::base {

// Not thread-safe.
//
// Users take turns, one each, so that nobody waits behind all that another one wants. And a user
// may have no more waiting than there is room left: alone half of it, two a third each, so that
// there is always some for the next. Of several places nobody has them all: what somebody else
// wants begins at once, however long what has them takes.
template <typename T>
class Turns {
 public:
  using Ticket = uint64_t;
  struct Bounds {
    size_t places = 1;
    size_t max_waiting = 0;  // over it TryAdd refuses
    // Of what waits or has a place. Over it TryAdd refuses, but for what is alone.
    Limit max_bytes = std::numeric_limits<size_t>::max();
  };

 private:
  struct User;

 public:
  // A place, which its user has until End.
  struct Turn {
    T what;
    size_t bytes;
    User* user;
  };

  explicit Turns(const Bounds& bounds) : bounds_(bounds) {}

  size_t waiting() const { return places_.size(); }
  size_t bytes() const { return bytes_; }

  // 0, and `what` untouched, if too much waits already. `bytes` is an estimate of what it takes.
  Ticket TryAdd(T&& what, std::string_view user, size_t bytes = 0) {
    auto found = users_.find(user);
    if (!HasRoom(found == users_.end() ? nullptr : found->second.get(), bytes)) return 0;
    if (found == users_.end()) {
      found = users_.emplace(std::string(user), std::make_unique<User>()).first;
      found->second->name = found->first;
    }
    User& of = *found->second;
    if (of.queue.empty()) of.turn = turns_.insert(turns_.end(), &of);
    const Ticket ticket = ++last_;
    of.queue.push_back({ticket, std::move(what), bytes});
    places_[ticket] = {&of, std::prev(of.queue.end())};
    of.bytes += bytes;
    bytes_ += bytes;
    return ticket;
  }

  // What waits no more; nothing where it doesn't wait.
  std::optional<T> Withdraw(Ticket ticket) {
    const auto found = places_.find(ticket);
    if (found == places_.end()) return std::nullopt;
    User& user = *found->second.user;
    Queued withdrawn = Remove(found);
    Forget(user, withdrawn.bytes);
    return std::move(withdrawn.what);
  }

  bool HasNext() const { return NextUser() != nullptr; }

  // What has its turn; nothing if nothing waits, or if there is no place for it.
  std::optional<Turn> Next() {
    User* const user = NextUser();
    if (user == nullptr) return std::nullopt;
    Queued next = Remove(places_.find(user->queue.front().ticket));
    ++user->running;
    ++running_;
    if (!user->queue.empty()) turns_.splice(turns_.end(), turns_, user->turn);
    return Turn{std::move(next.what), next.bytes, user};
  }

  void End(const Turn& turn) {
    --turn.user->running;
    --running_;
    Forget(*turn.user, turn.bytes);
  }

 private:
  struct Queued {
    Ticket ticket;
    T what;
    size_t bytes;
  };
  struct User {
    std::string name;
    std::list<Queued> queue;
    size_t bytes = 0;                               // of what waits or has a place
    size_t running = 0;                             // have a place
    typename std::list<User*>::iterator turn = {};  // valid while something waits
  };
  struct Place {
    User* user;
    typename std::list<Queued>::iterator queued;
  };
  using Places = absl::flat_hash_map<Ticket, Place>;

  bool HasRoom(const User* user, size_t bytes) const {
    if (places_.size() >= bounds_.max_waiting) return false;
    const size_t max_bytes = bounds_.max_bytes.Of(bytes_);
    if (bytes > 0 && bytes_ > 0 && bytes_ + bytes > max_bytes) return false;
    if (user == nullptr) return true;
    if (user->queue.size() >= bounds_.max_waiting - places_.size()) return false;
    return user->bytes == 0 || bytes == 0 || user->bytes + bytes <= max_bytes - bytes_;
  }

  // Who has all places but one is passed over: that are fewer users than there are places.
  User* NextUser() const {
    if (running_ >= bounds_.places) return nullptr;
    const size_t most = std::max<size_t>(1, bounds_.places - 1);
    const auto next =
        std::ranges::find_if(turns_, [&](const User* user) { return user->running < most; });
    return next == turns_.end() ? nullptr : *next;
  }

  // Takes it out of its user's queue.
  Queued Remove(typename Places::iterator place) {
    User& user = *place->second.user;
    Queued taken = std::move(*place->second.queued);
    user.queue.erase(place->second.queued);
    if (user.queue.empty()) turns_.erase(user.turn);
    places_.erase(place);
    return taken;
  }

  // Something of the user's neither waits nor has a place any more.
  void Forget(User& user, size_t bytes) {
    user.bytes -= bytes;
    bytes_ -= bytes;
    if (user.queue.empty() && user.running == 0) users_.erase(users_.find(user.name));
  }

  Bounds bounds_;
  Ticket last_ = 0;
  size_t bytes_ = 0;
  size_t running_ = 0;
  StringMap<std::unique_ptr<User>> users_;  // of whom something waits or has a place
  std::list<User*> turns_;                  // the next is the first
  Places places_;                           // in a queue
};

}  // namespace strata::base
