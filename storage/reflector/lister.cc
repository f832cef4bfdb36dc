#include "storage/reflector/lister.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "lib/base/thread.h"

namespace strata::reflector {
namespace {

// More parts would be better guesses; but each that turns out empty costs a request.
constexpr int64_t kMostParts = 16;

}  // namespace

ListMetrics::ListMetrics(obs::Metrics& metrics)
    : pages(metrics.AddCounter("strata_list_pages_total", "Pages of lists that were read.")),
      in_flight(metrics.AddGauge("strata_list_pages_inflight",
                                 "Pages of lists that are being fetched or decoded.")) {}

Lister::Lister(client::Client& client, const records::Keys& keys, Consumer& consumer,
               const ListOptions& options, const client::RangeResult& now, bool divisible,
               client::Cancellation& cancellation, const base::Clock& clock,
               const ListMetrics& metrics)
    : client_(client),
      keys_(keys),
      consumer_(consumer),
      options_(options),
      now_(now),
      divisible_(divisible),
      cancellation_(cancellation),
      clock_(clock),
      metrics_(metrics),
      limit_(options.page_size) {}

base::StatusOr<Lister::Found> Lister::List(KeyRange range) {
  {
    absl::MutexLock lock(&mu_);
    ranges_.push_back(std::move(range));
  }
  std::vector<std::thread> others;
  for (int i = 1; i < options_.parallelism && divisible_; ++i) {
    auto other = base::StartThread([this] { Work(); });
    if (!other.ok()) break;  // those that there are do it
    others.push_back(*std::move(other));
  }
  Work();
  for (std::thread& other : others) other.join();
  absl::MutexLock lock(&mu_);
  if (!status_.ok()) return status_;
  return found_;
}

void Lister::Work() {
  while (auto range = Take()) {
    metrics_.in_flight.Add(1);
    const base::Status status = ListPage(*std::move(range));
    metrics_.in_flight.Add(-1);
    absl::MutexLock lock(&mu_);
    --working_;
    if (status.ok() || !status_.ok()) continue;
    status_ = status;
    cancellation_.Cancel();
  }
}

std::optional<KeyRange> Lister::Take() {
  absl::MutexLock lock(&mu_);
  const auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !ranges_.empty() || working_ == 0 || !status_.ok();
  };
  mu_.Await(absl::Condition(&decided));  // on others' requests, which have deadlines
  if (ranges_.empty() || !status_.ok()) return std::nullopt;
  KeyRange range = std::move(ranges_.back());
  ranges_.pop_back();
  ++working_;
  return range;
}

base::Status Lister::ListPage(KeyRange range) {
  STRATA_ASSIGN_OR_RETURN(client::RangeResult page, Fetch(range));
  if (page.cluster_id != now_.cluster_id || page.raft_term < now_.raft_term ||
      page.revision < now_.revision) {
    return base::UnavailableError("the backend was put back while it was listed");
  }
  if (page.more) STRATA_RETURN_IF_ERROR(CheckPart(range, page.kvs));
  metrics_.pages.Increment();
  Count(page);
  if (page.more) AddRest({After(page.kvs.back().key), std::move(range.end)}, page);
  std::vector<records::Change> changes;
  changes.reserve(page.kvs.size());
  for (client::KeyValue& kv : page.kvs) {
    if (auto id = keys_.Parse(kv.key))
      changes.push_back(records::Decode(*std::move(id), std::move(kv.value), kv.mod_revision));
  }
  consumer_.ListPage(changes);
  return base::OkStatus();
}

// A page that isn't the last tells where the next one begins (rpc.proto RangeResponse.more). Of one
// that is empty, or not in order, keys would be missed, or the list be without end.
base::Status Lister::CheckPart(const KeyRange& range, const std::vector<client::KeyValue>& page) {
  const auto broken = [](std::string_view how) {
    return base::UnavailableError(
        fmt::format("the backend answered a part of a list with {}", how));
  };
  if (page.empty()) return broken("no keys");
  const auto descends = [](const auto& a, const auto& b) { return a.key >= b.key; };
  if (std::adjacent_find(page.begin(), page.end(), descends) != page.end())
    return broken("keys that are out of order");
  if (page.front().key < range.begin || page.back().key >= range.end)
    return broken("keys of another range");
  return base::OkStatus();
}

// Asks for fewer records if the backend or gRPC finds them too large.
base::StatusOr<client::RangeResult> Lister::Fetch(const KeyRange& range) {
  while (true) {
    const int64_t limit = limit_;
    auto page = client_.Range(
        {.key = range.begin, .end = range.end, .limit = limit, .revision = now_.revision},
        clock_.Now() + options_.request_timeout, &cancellation_);
    if (page.status().code() != base::StatusCode::kResourceExhausted || limit == 1) return page;
    TooLarge(limit);
  }
}

// Others may have found the same meanwhile: once is enough.
void Lister::TooLarge(int64_t records) {
  int64_t limit = limit_;
  if (records <= limit) {
    limit_.compare_exchange_strong(limit, std::max<int64_t>(1, records / 2));
  }
}

void Lister::AddRest(KeyRange rest, const client::RangeResult& page) {
  // Whatever the backend says, even less than nothing.
  const int64_t keys = std::max<int64_t>(page.count, 0) - static_cast<int64_t>(page.kvs.size());
  const int64_t limit = limit_;
  std::vector<KeyRange> parts;
  if (divisible_ && keys > limit) {
    // Of three quarters of a page each, so that most of them are one page.
    const int64_t wanted =
        std::min(kMostParts, 1 + (keys - 1) / std::max<int64_t>(1, limit * 3 / 4));
    parts = Divide(rest, page.kvs, static_cast<size_t>(wanted));
  } else {
    parts.push_back(std::move(rest));
  }
  absl::MutexLock lock(&mu_);
  std::move(parts.rbegin(), parts.rend(), std::back_inserter(ranges_));
}

void Lister::Count(const client::RangeResult& page) {
  size_t bytes = 0;
  base::Revision newest = 0;
  for (const client::KeyValue& kv : page.kvs) {
    bytes += kv.key.size() + kv.value.size();
    newest = std::max(newest, kv.mod_revision);
  }
  if (bytes > options_.page_bytes) TooLarge(static_cast<int64_t>(page.kvs.size()));
  absl::MutexLock lock(&mu_);
  found_.count += static_cast<int64_t>(page.kvs.size());
  found_.newest = std::max(found_.newest, newest);
}

}  // namespace strata::reflector
