// What kube-apiserver answered to reviews, kept for a while, with one question a key in flight.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/shares.h"
#include "lib/base/status.h"
#include "lib/base/string_map.h"

namespace strata::auth {

struct ReviewCacheOptions {
  size_t max_entries = 16'384;  // the least recently used makes place
  // For answers, shared by whom they are for; more are refused.
  size_t max_waiting = 10'000;
};

// Thread-safe. Callbacks run without the lock: inline, or on the thread that brings the answer.
template <typename Value>
class ReviewCache {
 public:
  using Options = ReviewCacheOptions;
  using Result = base::StatusOr<std::shared_ptr<const Value>>;
  using Done = std::function<void(const Result& result)>;
  // Asks, and calls `answered` once with the result and how long it may be kept.
  using Answered = std::function<void(Result result, std::chrono::nanoseconds keep)>;
  using Ask = absl::FunctionRef<void(Answered answered)>;
  // Makes the callback of who has to wait. It is called with the lock: it only makes.
  using Later = absl::FunctionRef<Done()>;

  struct Stats {
    uint64_t hits = 0, misses = 0, joined = 0;
    size_t entries = 0, waiting = 0;
  };

  ReviewCache(const Options& options, const base::Clock& clock)
      : options_(options), clock_(clock), waiting_(static_cast<int64_t>(options.max_waiting)) {}

  // What is kept, or kResourceExhausted if too many wait, or too many for `user`. Otherwise
  // nothing, and what `later` made is told: what whoever asked first is, or what `ask`, called
  // before this returns, brings.
  std::optional<Result> Get(std::string_view key, std::string_view user, Ask ask, Later later)
      ABSL_LOCKS_EXCLUDED(mu_) {
    {
      base::MutexLock lock(&mu_);
      if (auto found = FindLocked(key)) return Result(std::move(found));
      auto share = waiting_.Take(user, base::Shares::Claim::kFair);
      if (!share)
        return base::ResourceExhaustedError("too many requests wait for kube-apiserver's reviews");
      auto& waiting = in_flight_[std::string(key)];
      const bool first = waiting.empty();
      waiting.push_back({later(), *std::move(share)});
      ++(first ? stats_.misses : stats_.joined);
      if (!first) return std::nullopt;
    }
    ask([this, key = std::string(key)](Result answer, std::chrono::nanoseconds keep) {
      Complete(key, std::move(answer), keep);
    });
    return std::nullopt;
  }

  Stats stats() const ABSL_LOCKS_EXCLUDED(mu_) {
    base::MutexLock lock(&mu_);
    Stats stats = stats_;
    stats.waiting = static_cast<size_t>(waiting_.taken());
    return stats;
  }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Value> value;
    base::MonotonicTime until;
  };
  using Entries = std::list<Entry>;  // the most recently used first
  struct Waiter {
    Done done;
    std::optional<base::Shares::Share> share;  // until it is told
  };

  std::shared_ptr<const Value> FindLocked(std::string_view key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    if (clock_.Now() >= found->second->until) {
      Drop(found->second);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    ++stats_.hits;
    return found->second->value;
  }

  void Drop(typename Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    index_.erase(std::string_view(entry->key));
    entries_.erase(entry);
    stats_.entries = entries_.size();
  }

  void Complete(const std::string& key, Result result, std::chrono::nanoseconds keep)
      ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Waiter> waiting;
    {
      base::MutexLock lock(&mu_);
      waiting = std::move(in_flight_.extract(key).mapped());
      if (result.ok() && keep.count() > 0) {
        if (const auto old = index_.find(key); old != index_.end()) Drop(old->second);
        if (entries_.size() >= options_.max_entries) Drop(std::prev(entries_.end()));
        entries_.push_front({key, *result, clock_.Now() + keep});
        index_.emplace(key, entries_.begin());
        stats_.entries = entries_.size();
      }
    }
    for (Waiter& waiter : waiting) {
      waiter.share.reset();
      waiter.done(result);
    }
  }

  const Options options_;
  const base::Clock& clock_;
  base::Shares waiting_;
  mutable base::Mutex mu_;
  Entries entries_ ABSL_GUARDED_BY(mu_);
  base::StringMap<typename Entries::iterator> index_ ABSL_GUARDED_BY(mu_);
  base::StringMap<std::vector<Waiter>> in_flight_ ABSL_GUARDED_BY(mu_);
  Stats stats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::auth
