#include "storage/tool/raw.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/codec/decode_json.h"
#include "storage/tool/input.h"
#include "storage/tool/spool.h"

namespace strata::tool {
namespace {

constexpr size_t kPage = 500;
// A busy key is tried again this often.
constexpr int kAttempts = 10;

// The end of the range of all keys that begin with `prefix`.
std::string EndOf(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  ++prefix.back();
  return prefix;
}

struct Pair {
  std::string key, value;
};

// A dump's last line.
struct End {
  std::string keys;
};

base::StatusOr<std::variant<Pair, End>> ParseLine(std::string_view line) {
  std::optional<std::string> key, value = std::string(), keys;
  base::Status parsed =
      codec::ForEachString(line, [&](std::string_view name, std::string_view text) {
        if (name == "key") key = base::FromBase64(text);
        if (name == "value") value = base::FromBase64(text);
        if (name == "keys") keys = text;
      });
  if (!parsed.ok()) return parsed;
  if (keys) return End{*std::move(keys)};
  if (!key || key->empty()) return base::InvalidArgumentError("there is no key in base64");
  if (!value) return base::InvalidArgumentError("the value is not base64");
  return Pair{*std::move(key), *std::move(value)};
}

class RawLoader {
 public:
  RawLoader(RecordStore& store, RawCounts& counts) : store_(store), counts_(counts) {}

  base::Status Add(Pair pair) {
    // A transaction takes each key once; the later line counts.
    const bool twice = std::any_of(batch_.begin(), batch_.end(),
                                   [&](const Pair& one) { return one.key == pair.key; });
    const size_t size = pair.key.size() + pair.value.size();
    if (twice || batch_.size() == store_.max_batch() || bytes_ + size > kMaxBatchBytes)
      STRATA_RETURN_IF_ERROR(Flush());
    bytes_ += size;
    batch_.push_back(std::move(pair));
    return base::OkStatus();
  }

  base::Status Flush() {
    for (int attempt = 0; !batch_.empty() && attempt < kAttempts; ++attempt) {
      STRATA_ASSIGN_OR_RETURN(const bool done, Try());
      if (!done) continue;
      batch_.clear();
      bytes_ = 0;
    }
    if (batch_.empty()) return base::OkStatus();
    return base::UnavailableError(
        fmt::format("{} is written by somebody else all the time", batch_.front().key));
  }

 private:
  base::StatusOr<bool> Try() {
    std::vector<std::string> keys;
    for (const Pair& pair : batch_) keys.push_back(pair.key);
    STRATA_ASSIGN_OR_RETURN(const auto there, store_.Read(keys));
    std::vector<client::Change> puts;
    for (size_t i = 0; i < batch_.size(); ++i) {
      if (there[i].mod_revision == 0 || there[i].value != batch_[i].value)
        puts.push_back({batch_[i].key, batch_[i].value, there[i].mod_revision});
    }
    const auto written = static_cast<int64_t>(puts.size());
    if (written > 0) {
      STRATA_ASSIGN_OR_RETURN(const bool done, store_.Commit(puts));
      if (!done) return false;
    }
    counts_.written += written;
    counts_.unchanged += static_cast<int64_t>(batch_.size()) - written;
    return true;
  }

  RecordStore& store_;
  RawCounts& counts_;
  std::vector<Pair> batch_;
  size_t bytes_ = 0;
};

}  // namespace

base::StatusOr<int64_t> DumpRaw(RecordStore& store, const std::string& prefix, Output& output) {
  std::string from = prefix.empty() ? std::string(1, '\0') : prefix;
  const std::string end = EndOf(prefix);
  base::Revision revision = 0;
  int64_t count = 0;
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const RecordStore::Page page, store.List(from, end, kPage, revision));
    revision = page.revision;
    for (const client::KeyValue& kv : page.entries) {
      STRATA_RETURN_IF_ERROR(
          output.Write(fmt::format("{{\"key\":\"{}\",\"value\":\"{}\"}}\n", base::ToBase64(kv.key),
                                   base::ToBase64(kv.value))));
      ++count;
    }
    if (!page.more || page.entries.empty()) break;
    from = page.entries.back().key + '\0';
  }
  STRATA_RETURN_IF_ERROR(output.Write(fmt::format("{{\"keys\":\"{}\"}}\n", count)));
  return count;
}

base::Status LoadRaw(RecordStore& store, const std::string& input, size_t max_input_bytes,
                     Console& console, RawCounts& counts) {
  Spool text;
  STRATA_RETURN_IF_ERROR(ReadInput(input, max_input_bytes, text));
  STRATA_ASSIGN_OR_RETURN(std::string_view rest, text.View());
  RawLoader loader(store, counts);
  const auto bad = [&](size_t number, std::string_view why) {
    ++counts.bad;
    console.Line(fmt::format("{}:{}: {}", InputName(input), number, why));
  };
  size_t number = 0, keys = 0;
  bool ended = false;
  while (!rest.empty()) {
    ++number;
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto read = ParseLine(line);
    ended = read.ok() && std::holds_alternative<End>(*read);
    if (!read.ok()) {
      bad(number, base::Message(read.status()));
    } else if (ended) {
      if (const std::string& said = std::get<End>(*read).keys; said != std::to_string(keys))
        bad(number, fmt::format("{} keys were dumped, and {} are here", said, keys));
    } else {
      STRATA_RETURN_IF_ERROR(loader.Add(std::get<Pair>(*std::move(read))));
    }
    keys = ended ? 0 : keys + 1;
  }
  if (!ended)
    bad(number, "it ends without the line that says how many keys there are, {\"keys\":\"N\"}");
  return loader.Flush();
}

}  // namespace strata::tool
