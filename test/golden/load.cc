// strata-golden-load URL: writes records so that each gets the revision it was recorded at, with
// fillers between. Stdin has a record a line, `REVISION KEY BASE64-VALUE`, by rising revision. The
// store must be new and nobody else's.
#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "storage/client/client.h"

namespace strata {
namespace {

constexpr std::chrono::seconds kTimeout{30};
constexpr std::chrono::milliseconds kBetweenTries{100};
constexpr base::Revision kEmptyStore = 1;
constexpr char kFiller[] = "/filler";
constexpr int64_t kCheckedAtOnce = 500;

base::MonotonicTime Deadline() {
  return std::chrono::steady_clock::now() + kTimeout;
}

struct Record {
  base::Revision revision = 0;
  std::string key;
  std::string value;
};

base::StatusOr<Record> ParseLine(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t second = first == line.npos ? line.npos : line.find(' ', first + 1);
  if (second == line.npos) return base::InvalidArgumentError("a line isn't REVISION KEY VALUE");
  Record record;
  const char* end = line.data() + first;
  if (std::from_chars(line.data(), end, record.revision).ptr != end) {
    return base::InvalidArgumentError("a line doesn't begin with a revision");
  }
  record.key = line.substr(first + 1, second - first - 1);
  if (!absl::Base64Unescape(std::string(line.substr(second + 1)), &record.value)) {
    return base::InvalidArgumentError(fmt::format("{}: the value isn't base64", record.key));
  }
  return record;
}

// Follows the store's revision by counting its own writes, and reads everything once at the end.
class Loader {
 public:
  explicit Loader(client::Client& client) : client_(client) {}

  // A server that has just been started may listen before it serves.
  base::Status Begin() {
    const base::MonotonicTime deadline = Deadline();
    base::StatusOr<client::RangeResult> range = client_.Range({.key = kFiller}, deadline);
    while (range.status().code() == base::StatusCode::kUnavailable &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(kBetweenTries);
      range = client_.Range({.key = kFiller}, deadline);
    }
    if (!range.ok()) return range.status();
    if (range->revision == kEmptyStore) return base::OkStatus();
    return base::FailedPreconditionError(
        fmt::format("the store is at revision {}, not new", range->revision));
  }

  base::Status Write(Record record) {
    if (record.revision <= revision_) {
      return base::InvalidArgumentError(
          fmt::format("{}: revision {} is taken", record.key, record.revision));
    }
    while (revision_ + 1 < record.revision) {
      STRATA_RETURN_IF_ERROR(Put({.key = kFiller, .value = "", .expected = filled_}));
      filled_ = revision_;
    }
    wanted_.insert_or_assign(record.key, record.revision);
    return Put({.key = std::move(record.key), .value = std::move(record.value)});
  }

  base::Status Check() {
    std::string from(1, '\0');
    const std::string everything(1, '\0');
    size_t found = 0;
    for (bool more = true; more;) {
      STRATA_ASSIGN_OR_RETURN(
          const client::RangeResult page,
          client_.Range(
              {.key = from, .end = everything, .limit = kCheckedAtOnce, .keys_only = true},
              Deadline()));
      for (const client::KeyValue& kv : page.kvs) {
        const auto it = wanted_.find(kv.key);
        if (it == wanted_.end()) continue;
        if (it->second != kv.mod_revision) {
          return base::InternalError(
              fmt::format("{} is at {}, not {}", kv.key, kv.mod_revision, it->second));
        }
        ++found;
      }
      more = page.more && !page.kvs.empty();
      if (more) from = page.kvs.back().key + '\0';
    }
    if (found != wanted_.size()) {
      return base::InternalError(
          fmt::format("{} of {} records are in the store", found, wanted_.size()));
    }
    return base::OkStatus();
  }

  size_t records() const { return wanted_.size(); }
  base::Revision revision() const { return revision_; }

 private:
  base::Status Put(const client::Change& put) {
    STRATA_ASSIGN_OR_RETURN(const auto done,
                            client_.Commit(client::IfUnchanged({put}), Deadline()));
    if (!done.succeeded)
      return base::InternalError(
          fmt::format("{} isn't at {}: someone else writes", put.key, put.expected));
    ++revision_;
    return base::OkStatus();
  }

  client::Client& client_;
  base::Revision revision_ = kEmptyStore;
  base::Revision filled_ = 0;
  std::unordered_map<std::string, base::Revision> wanted_;
};

base::Status Run(const std::string& url) {
  obs::Metrics metrics;
  client::Options options;
  options.endpoints = {url};
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client,
                          client::Client::Create(options, obs::NullLogger(), metrics));
  Loader loader(*client);
  STRATA_RETURN_IF_ERROR(loader.Begin());
  for (std::string line; std::getline(std::cin, line);) {
    STRATA_ASSIGN_OR_RETURN(Record record, ParseLine(line));
    STRATA_RETURN_IF_ERROR(loader.Write(std::move(record)));
  }
  STRATA_RETURN_IF_ERROR(loader.Check());
  fmt::print("{} records up to revision {}\n", loader.records(), loader.revision());
  return base::OkStatus();
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: strata-golden-load URL <RECORDS\n", stderr);
    return 2;
  }
  const strata::base::Status status = strata::Run(argv[1]);
  if (status.ok()) return 0;
  fmt::print(stderr, "strata-golden-load: {}\n", strata::base::Message(status));
  return 1;
}
