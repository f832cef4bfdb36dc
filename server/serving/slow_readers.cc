#include "server/serving/slow_readers.h"

#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace strata::serving {
namespace {

constexpr std::chrono::milliseconds kBetweenSearches{100};
// Bytes a second. Whoever takes more is slowed down by the network or by us, not by intent, and
// will be done before long.
constexpr double kFairPace = 64 << 10;

}  // namespace

// Lives until the last thread has answered, or has ended without.
class SlowReaders::Search {
 public:
  explicit Search(std::shared_ptr<SlowReaders> owner) : owner_(std::move(owner)) {}

  ~Search() {
    if (seat_ != nullptr) {
      seat_->executor->Post([owner = owner_, seat = seat_, stream = slowest_.stream] {
        if (seat->reader == nullptr) return;
        owner->cut_.fetch_add(1, std::memory_order_relaxed);
        seat->reader->Cut(stream);
      });
    }
    // Only now: the next search asks that thread after this answer is gone.
    owner_->searching_ = false;
  }

  void Offer(const std::shared_ptr<Seat>& seat, const http::SlowestAnswer& answer) {
    if (answer.bytes_per_second >= kFairPace) return;
    base::MutexLock lock(&mu_);
    const auto rank = [](const http::SlowestAnswer& a) {
      return std::make_tuple(-a.bytes_per_second, a.bytes_left);
    };
    if (seat_ != nullptr && rank(answer) <= rank(slowest_)) return;
    seat_ = seat;
    slowest_ = answer;
  }

 private:
  const std::shared_ptr<SlowReaders> owner_;
  base::Mutex mu_;
  // Of the slowest so far; null: none is slow.
  std::shared_ptr<Seat> seat_ ABSL_GUARDED_BY(mu_);
  http::SlowestAnswer slowest_ ABSL_GUARDED_BY(mu_){};
};

void SlowReaders::Join(std::shared_ptr<Seat> seat) {
  base::MutexLock lock(&mu_);
  seats_.insert(std::move(seat));
}

void SlowReaders::Leave(const std::shared_ptr<Seat>& seat) {
  base::MutexLock lock(&mu_);
  seats_.erase(seat);
}

void SlowReaders::CutSlowest(const std::shared_ptr<SlowReaders>& self) {
  if (self->searching_.exchange(true)) return;
  const auto search = std::make_shared<Search>(self);
  std::map<net::Executor*, std::vector<std::shared_ptr<Seat>>> threads;
  {
    const base::MonotonicTime now = self->clock_.Now();
    base::MutexLock lock(&self->mu_);
    if (now < self->next_search_) return;
    self->next_search_ = now + kBetweenSearches;
    for (const auto& seat : self->seats_) threads[seat->executor.get()].push_back(seat);
  }
  for (auto& [executor, seats] : threads) {
    executor->Post([search, seats = std::move(seats)] {
      for (const auto& seat : seats) {
        if (seat->reader == nullptr) continue;
        if (const auto slowest = seat->reader->Slowest()) search->Offer(seat, *slowest);
      }
    });
  }
}

}  // namespace strata::serving
