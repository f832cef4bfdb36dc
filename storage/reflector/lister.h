// Reads all records of a range at one revision, in pages, as fast as the backend and the cores
// allow.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"
#include "storage/reflector/events.h"
#include "storage/reflector/key_range.h"

namespace strata::reflector {

struct ListOptions {
  int64_t page_size = 500;        // records a page: about 3 MB of real ones
  size_t page_bytes = 16u << 20;  // a page above this makes the next ones smaller
  int parallelism = 4;            // pages that are fetched or decoded at a time
  std::chrono::milliseconds request_timeout{30'000};
};

class ListMetrics {
 public:
  explicit ListMetrics(obs::Metrics& metrics);
  const obs::Counter pages;
  const obs::Gauge in_flight;
};

// One list.
//
// Operation: a page tells how many keys follow it in its range. If they are more than a page, what
// is left is divided, by a guess that may be wrong and never loses or doubles a key, and the parts
// are fetched beside each other. That isn't only for the cores' sake: etcd counts a range whole for
// each page of it, so 200 pages of one range cost it more than the records do.
//
// Concurrency: `parallelism` threads, the caller's among them, each take a range, fetch one page of
// it, leave the rest for all, decode the page and give it to the consumer. So no more pages than
// threads are in memory.
class Lister {
 public:
  // `now` is what the backend answered before: the list is of its revision. An indivisible range is
  // read front to back. `cancellation` is used up: it is cancelled when one page fails.
  Lister(client::Client& client, const records::Keys& keys, Consumer& consumer,
         const ListOptions& options, const client::RangeResult& now, bool divisible,
         client::Cancellation& cancellation, const base::Clock& clock, const ListMetrics& metrics);

  struct Found {
    base::Revision newest = 0;  // the last change of what there is
    int64_t count = 0;          // of keys, whatever they are
  };
  // Gives every page to the consumer; when it returns, nothing of it runs any more. To be called
  // once.
  base::StatusOr<Found> List(KeyRange range) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Work() ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing left to do: nothing.
  std::optional<KeyRange> Take() ABSL_LOCKS_EXCLUDED(mu_);
  base::Status ListPage(KeyRange range) ABSL_LOCKS_EXCLUDED(mu_);
  static base::Status CheckPart(const KeyRange& range, const std::vector<client::KeyValue>& page);
  base::StatusOr<client::RangeResult> Fetch(const KeyRange& range);
  // A page of so many: the next ones are to be smaller.
  void TooLarge(int64_t records);
  void AddRest(KeyRange rest, const client::RangeResult& page) ABSL_LOCKS_EXCLUDED(mu_);
  void Count(const client::RangeResult& page) ABSL_LOCKS_EXCLUDED(mu_);

  client::Client& client_;
  const records::Keys& keys_;
  Consumer& consumer_;
  const ListOptions options_;
  const client::RangeResult& now_;
  const bool divisible_;
  client::Cancellation& cancellation_;
  const base::Clock& clock_;
  const ListMetrics& metrics_;

  std::atomic<int64_t> limit_;  // of a page's records

  absl::Mutex mu_;
  std::vector<KeyRange> ranges_ ABSL_GUARDED_BY(mu_);  // nobody's yet; the last one is next
  int working_ ABSL_GUARDED_BY(mu_) = 0;               // threads that may still add ranges
  base::Status status_ ABSL_GUARDED_BY(mu_);           // the first error
  Found found_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::reflector
