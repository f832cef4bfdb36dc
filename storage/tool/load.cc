#include "storage/tool/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "storage/tool/documents.h"
#include "storage/tool/input.h"
#include "storage/tool/value.h"

namespace strata::tool {
namespace {

// How often a batch is tried again because someone else changed one of its keys.
constexpr int kMaxAttempts = 5;
// Warnings that are printed; further ones are counted.
constexpr int64_t kMaxWarnings = 50;

// The record is too large, or the store refuses it: retrying doesn't help, but others may still be
// written.
bool IsAboutTheRequest(const base::Status& status) {
  return status.code() == base::StatusCode::kInvalidArgument ||
         status.code() == base::StatusCode::kResourceExhausted ||
         status.code() == base::StatusCode::kOutOfRange;
}

void AppendPart(std::string_view part, std::string& out) {
  const uint64_t size = part.size();
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(part);
}

std::string_view TakePart(std::string_view& bytes) {
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  const std::string_view part = bytes.substr(sizeof size, size);
  bytes.remove_prefix(sizeof size + size);
  return part;
}

}  // namespace

// A record on its way into the store.
struct Loader::Pending {
  std::string where;  // "file:line"
  std::string key;
  ParsedRecord record;
  size_t bytes = 0;
  // Chosen once, so that a repeated attempt writes the same.
  std::string uid = NewUid();
  int64_t now = 0;
};

Loader::Loader(RecordStore& store, const LoadOptions& options, const base::Clock& clock,
               Console& console)
    : store_(store), options_(options), clock_(clock), console_(console) {}

Loader::~Loader() = default;

base::Status Loader::Run() {
  for (const std::string& argument : options_.inputs) {
    const auto files = ExpandInput(argument);
    if (!files.ok()) {
      Bad(base::Message(files.status()), "");
      continue;
    }
    if (files->empty())
      console_.Line(fmt::format("{}: no *.yaml, *.yml or *.json in this directory", argument));
    for (const std::string& file : *files) STRATA_RETURN_IF_ERROR(LoadInput(file));
  }
  STRATA_RETURN_IF_ERROR(Flush());
  STRATA_RETURN_IF_ERROR(LoadHeldStreams());
  if (warnings_ > kMaxWarnings)
    console_.Line(fmt::format("{} more warnings", warnings_ - kMaxWarnings));
  return base::OkStatus();
}

base::Status Loader::LoadInput(const std::string& path) {
  input_ = InputName(path);
  input_bytes_ = input_done_ = 0;
  ShowProgress();
  Spool spool;
  // What was read before an error is whole documents up to the last: those aren't taken, since it
  // may be cut.
  if (const base::Status status = ReadInput(path, options_.max_input_bytes, spool); !status.ok()) {
    Bad(base::Message(status), "");
    return base::OkStatus();
  }
  const auto text = spool.View();
  if (!text.ok()) return text.status();
  input_bytes_ = text->size();

  DocumentReader reader(*text);
  Document document;
  std::vector<ParseResult> results;
  while (reader.Next(document)) {
    results.clear();
    Parse(document, options_.default_namespace, results);
    for (ParseResult& result : results) STRATA_RETURN_IF_ERROR(Take(input_, document.line, result));
    input_done_ += document.text.size();
    ShowProgress();
  }
  return base::OkStatus();
}

base::Status Loader::Take(std::string_view input, size_t line, ParseResult& result) {
  if (const auto* skipped = std::get_if<Skipped>(&result)) {
    ++counts_.skipped[skipped->what];
    return base::OkStatus();
  }
  if (const auto* bad = std::get_if<BadDocument>(&result)) {
    Bad(fmt::format("{}:{}", input, bad->line), bad->reason);
    return base::OkStatus();
  }
  Pending pending{.where = fmt::format("{}:{}", input, line),
                  .key = {},
                  .record = std::move(std::get<ParsedRecord>(result))};
  for (const std::string& warning : pending.record.warnings) {
    if (++warnings_ <= kMaxWarnings)
      console_.Line(fmt::format("{}: warning: {}", pending.where, warning));
  }
  return pending.record.kind() == records::Kind::kImageStream ? Hold(pending)
                                                              : Add(std::move(pending));
}

base::Status Loader::Hold(const Pending& pending) {
  std::string bytes;
  AppendPart(pending.where, bytes);
  AppendPart(pending.record.message().SerializeAsString(), bytes);
  ++held_;
  return streams_.Append(bytes);
}

base::Status Loader::LoadHeldStreams() {
  input_ = "image streams";
  const auto view = streams_.View();
  if (!view.ok()) return view.status();
  input_bytes_ = view->size();
  for (std::string_view rest = *view; !rest.empty();) {
    Pending pending{.where = std::string(TakePart(rest)), .key = {}, .record = {}};
    image_v1::ImageStream stream;
    const std::string_view bytes = TakePart(rest);
    if (!stream.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      Bad(pending.where, "is too large");
      continue;
    }
    pending.record.object = std::move(stream);
    input_done_ = view->size() - rest.size();
    STRATA_RETURN_IF_ERROR(Add(std::move(pending)));
    ShowProgress();
  }
  return Flush();
}

base::Status Loader::Add(Pending pending) {
  pending.key = store_.keys().KeyOf(pending.record.id());
  pending.bytes = pending.key.size() + pending.record.message().ByteSizeLong();
  pending.now =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.WallNow().time_since_epoch()).count();
  // A transaction may put a key only once.
  const bool is_in_batch = std::any_of(
      batch_.begin(), batch_.end(), [&](const Pending& other) { return other.key == pending.key; });
  if (is_in_batch || batch_.size() == store_.max_batch() ||
      batch_bytes_ + pending.bytes > kMaxBatchBytes) {
    STRATA_RETURN_IF_ERROR(Flush());
  }
  batch_bytes_ += pending.bytes;
  batch_.push_back(std::move(pending));
  return base::OkStatus();
}

base::Status Loader::Flush() {
  const base::Status status = WriteBatch(0, batch_.size());
  batch_.clear();
  batch_bytes_ = 0;
  return status;
}

// Halves the batch when it is refused as a whole, until what the store objects to stands alone.
base::Status Loader::WriteBatch(size_t begin, size_t end) {
  if (begin == end) return base::OkStatus();
  base::Status refusal =
      base::FailedPreconditionError("it is being changed by others all the time");
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto done = TryBatch(begin, end);
    if (done.ok() && *done) return base::OkStatus();
    if (done.ok()) continue;
    if (!IsAboutTheRequest(done.status())) return done.status();
    refusal = done.status();
    break;
  }
  if (end - begin == 1) {
    Bad(batch_[begin].where, base::Message(refusal));
    return base::OkStatus();
  }
  const size_t middle = begin + (end - begin) / 2;
  STRATA_RETURN_IF_ERROR(WriteBatch(begin, middle));
  return WriteBatch(middle, end);
}

// False if a record was changed between reading and writing.
base::StatusOr<bool> Loader::TryBatch(size_t begin, size_t end) {
  std::vector<std::string> keys;
  for (size_t i = begin; i < end; ++i) keys.push_back(batch_[i].key);
  STRATA_ASSIGN_OR_RETURN(const auto stored, store_.Read(keys));

  std::vector<client::Change> writes;
  for (size_t i = begin; i < end; ++i) {
    const client::KeyValue& old = stored[i - begin];
    const Pending& pending = batch_[i];
    std::string value = NewValue(pending.record, old.mod_revision == 0 ? nullptr : &old.value,
                                 pending.uid, pending.now);
    if (value.empty()) continue;
    writes.push_back({pending.key, std::move(value), old.mod_revision});
  }
  if (!writes.empty()) {
    STRATA_ASSIGN_OR_RETURN(const bool committed, store_.Commit(writes));
    if (!committed) return false;
  }
  counts_.written += static_cast<int64_t>(writes.size());
  counts_.unchanged += static_cast<int64_t>(end - begin - writes.size());
  return true;
}

void Loader::Bad(std::string_view where, std::string_view reason) {
  ++counts_.bad;
  console_.Line(reason.empty() ? std::string(where) : fmt::format("{}: {}", where, reason));
}

void Loader::ShowProgress() {
  if (!console_.WantsProgress()) return;
  const size_t percent =
      input_bytes_ == 0 ? 0 : std::min<size_t>(100, input_done_ * 100 / input_bytes_);
  console_.Progress(fmt::format("{} written, {} unchanged, {} bad; {} {}%", counts_.written,
                                counts_.unchanged, counts_.bad, input_, percent));
}

}  // namespace strata::tool
