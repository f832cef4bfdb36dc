#include "storage/tool/record_store.h"

#include <chrono>
#include <thread>
#include <utility>
#include <variant>

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

// Whether [begin, end) is what lies in a folder, from its begin or from a key in it.
bool IsFolder(std::string_view begin, std::string end) {
  if (end.empty() || end.back() != '/' + 1) return false;
  end.back() = '/';
  return begin.starts_with(end);
}

}  // namespace

std::string RecordStore::begin() const {
  return subset_ == Subset::kKine ? keys_.begin_of_all() : keys_.begin();
}

std::string RecordStore::end() const {
  return subset_ == Subset::kKine ? keys_.end_of_all() : keys_.end();
}

base::StatusOr<std::vector<client::KeyValue>> RecordStore::Read(
    const std::vector<std::string>& keys) {
  if (keys.size() != 1) return ReadAtOnce(keys);
  // Without a transaction, which kine hasn't for it.
  STRATA_ASSIGN_OR_RETURN(client::RangeResult found, Patiently([&](base::MonotonicTime deadline) {
                            return client_.Range({.key = keys[0]}, deadline);
                          }));
  if (found.kvs.empty()) found.kvs.push_back({.key = keys[0], .value = {}});
  return std::move(found.kvs);
}

base::StatusOr<std::vector<client::KeyValue>> RecordStore::ReadAtOnce(
    const std::vector<std::string>& keys) {
  client::Txn txn;
  for (const std::string& key : keys) txn.success.push_back(client::RangeOptions{.key = key});
  STRATA_ASSIGN_OR_RETURN(client::TxnResult read, Patiently([&](base::MonotonicTime deadline) {
                            return client_.Commit(txn, deadline);
                          }));
  std::vector<client::KeyValue> all;
  for (size_t i = 0; i < keys.size(); ++i) {
    auto& found = std::get<client::RangeResult>(read.results[i]).kvs;
    all.push_back(found.empty() ? client::KeyValue{.key = keys[i], .value = {}}
                                : std::move(found[0]));
  }
  return all;
}

base::StatusOr<bool> RecordStore::Commit(const std::vector<client::Change>& changes) {
  const client::Txn txn = client::IfUnchanged(changes);
  STRATA_ASSIGN_OR_RETURN(
      const client::TxnResult done,
      Patiently([&](base::MonotonicTime deadline) { return client_.Commit(txn, deadline); }));
  return done.succeeded;
}

base::StatusOr<RecordStore::Page> RecordStore::List(const std::string& begin,
                                                    const std::string& end, size_t limit,
                                                    base::Revision revision) {
  if (subset_ == Subset::kKine && !IsFolder(begin, end)) {
    return base::UnimplementedError(
        "this backend (kine) lists folders alone, /a/ or /a/b/, and the keys that are asked for "
        "are "
        "none: it would leave keys out. With --raw give --key-prefix=/FOLDER/");
  }
  const client::RangeOptions range{
      .key = begin, .end = end, .limit = static_cast<int64_t>(limit), .revision = revision};
  STRATA_ASSIGN_OR_RETURN(client::RangeResult result, Patiently([&](base::MonotonicTime deadline) {
                            return client_.Range(range, deadline);
                          }));
  return Page{std::move(result.kvs), revision != 0 ? revision : result.revision, result.more};
}

}  // namespace strata::tool
