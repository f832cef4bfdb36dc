#include "storage/tool/record_store.h"

#include <chrono>
#include <thread>
#include <utility>

namespace strata::tool {
namespace {

constexpr auto kDeadline = std::chrono::seconds(30);
// Pauses of 0.1, 0.2, … 3.2 seconds.
constexpr int kAttempts = 7;
constexpr auto kFirstPause = std::chrono::milliseconds(100);

// `call` gets the deadline of its attempt.
template <typename Call>
auto Patiently(const Call& call) {
  for (int attempt = 1;; ++attempt) {
    auto result = call(std::chrono::steady_clock::now() + kDeadline);
    if (result.status().code() != base::StatusCode::kUnavailable || attempt == kAttempts)
      return result;
    std::this_thread::sleep_for(kFirstPause * (1 << (attempt - 1)));
  }
}

}  // namespace

base::StatusOr<std::vector<client::KeyValue>> RecordStore::Read(
    const std::vector<std::string>& keys) {
  return Patiently([&](base::MonotonicTime deadline) { return client_.Read(keys, deadline); });
}

base::StatusOr<bool> RecordStore::Commit(const std::vector<client::Put>& puts) {
  return Patiently([&](base::MonotonicTime deadline) { return client_.Commit(puts, deadline); });
}

base::StatusOr<RecordStore::Page> RecordStore::List(const std::string& begin,
                                                    const std::string& end, size_t limit,
                                                    base::Revision revision) {
  const client::RangeOptions range{
      .key = begin, .end = end, .limit = static_cast<int64_t>(limit), .revision = revision};
  STRATA_ASSIGN_OR_RETURN(client::RangeResult result, Patiently([&](base::MonotonicTime deadline) {
                            return client_.Range(range, deadline);
                          }));
  return Page{std::move(result.kvs), revision != 0 ? revision : result.revision, result.more};
}

}  // namespace strata::tool
