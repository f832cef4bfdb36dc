#include "storage/engine/recover.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "storage/engine/data_dir.h"
#include "storage/engine/import.h"
#include "storage/engine/layout.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/losses.h"
#include "storage/engine/meta.h"
#include "storage/engine/snapshot.h"
#include "storage/engine/tree/cursor.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/tree/page_salvage.h"
#include "storage/engine/tree/redo.h"
#include "storage/engine/tree/wal.h"
#include "storage/engine/view.h"

namespace strata::engine {
namespace {

using tree::Cursor;
using tree::Table;
using tree::Wal;
using Tell = absl::FunctionRef<void(std::string_view line)>;

constexpr const char* kLogSuffix = "-wal";
constexpr const char* kGathered = "/gathered";  // in the new directory, until it is done
constexpr size_t kCommitBytes = size_t{64} << 20;

// What was read of the tables, in tables: entries that are missing leave them disagreeing.
class Gathering {
 public:
  static base::StatusOr<std::unique_ptr<Gathering>> Make(const std::string& path) {
    // Room for what grows within one transaction.
    STRATA_ASSIGN_OR_RETURN(
        auto env,
        tree::Environment::Open(path, {.initial_map_bytes = int64_t{1} << 40, .durable = false}));
    return std::unique_ptr<Gathering>(new Gathering(std::move(env)));
  }

  base::Status Put(Table table, std::string_view key, std::string_view value) {
    STRATA_RETURN_IF_ERROR(Begin());
    bytes_ += key.size() + value.size();
    return txn_->Put(table, key, value);
  }

  // Done again on what it found or didn't, a record of the log leaves the same.
  base::Status Redo(std::string_view record) {
    STRATA_RETURN_IF_ERROR(Begin());
    bytes_ += record.size();
    return tree::ForEachRedo(record, [&](const tree::RedoOp& op) -> base::Status {
      if (op.table >= tree::kTables)
        return base::DataLossError("the write-ahead log knows more tables");
      const auto table = static_cast<Table>(op.table);
      switch (op.kind) {
        case tree::RedoOp::Kind::kPut:
        case tree::RedoOp::Kind::kAppend:
          return txn_->Put(table, op.key, op.value);
        case tree::RedoOp::Kind::kPutBare:
          return base::OkStatus();
        case tree::RedoOp::Kind::kDelete:
          return txn_->Delete(table, op.key);
      }
      return base::OkStatus();
    });
  }

  // As far as is known.
  base::StatusOr<Revision> Compacted() {
    STRATA_ASSIGN_OR_RETURN(const tree::Txn txn, Snapshot());
    return ReadRevision(txn, kMetaCompacted);
  }

  // What was gathered. Before it has ended nothing is added.
  base::StatusOr<tree::Txn> Snapshot() {
    STRATA_RETURN_IF_ERROR(Commit());
    return env_->Snapshot();
  }

 private:
  explicit Gathering(std::unique_ptr<tree::Environment> env) : env_(std::move(env)) {}

  base::Status Begin() {
    if (bytes_ >= kCommitBytes) STRATA_RETURN_IF_ERROR(Commit());
    if (txn_) return base::OkStatus();
    STRATA_ASSIGN_OR_RETURN(auto txn, env_->Begin());
    txn_.emplace(std::move(txn));
    return base::OkStatus();
  }

  base::Status Commit() {
    if (!txn_) return base::OkStatus();
    const base::Status done = txn_->Commit();
    txn_.reset();
    bytes_ = 0;
    return done;
  }

  const std::unique_ptr<tree::Environment> env_;
  std::optional<tree::Txn> txn_;
  size_t bytes_ = 0;
};

// What the log had is in the file too, if the process alone ended: then nothing of a damaged record
// is lost. The file is believed so far if nothing in it is amiss; else it is as old as the log's
// checkpoint says. Where it was closed in order, its first pages are what they were then.
std::string BeginningOf(const std::string& file, const Wal::Remains& log) {
  if (!log.checkpoint) return "";
  if (log.checkpoint->pages.empty()) return log.checkpoint->closed;
  if (log.unreadable.empty()) return log.checkpoint->pages;
  const auto as_it_is = tree::SalvageTables(
      file, "", [](Table, std::string_view, std::string_view) { return base::OkStatus(); });
  if (as_it_is.ok() && as_it_is->whole()) return "";
  return log.checkpoint->pages;
}

base::StatusOr<Wal::Remains> ReadLog(const std::string& path, Tell tell, int64_t& unreadable) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return Wal::Remains{.checkpoint = Wal::Checkpoint{}};
  STRATA_ASSIGN_OR_RETURN(Wal::Remains log, Wal::Salvage(path));
  if (!log.checkpoint) {
    ++unreadable;
    tell("unreadable: the whole of the write-ahead log; what was written last may be missing");
  }
  for (const uint64_t position : log.unreadable)
    tell(fmt::format("unreadable: a record of the write-ahead log, at {}", position));
  unreadable += static_cast<int64_t>(log.unreadable.size());
  return log;
}

// A deletion has no value: where the history lacks one, the index has all of it.
base::Status MendDeletions(Gathering& gathered) {
  struct Deletion {
    Position at;
    std::string key;
  };
  std::vector<Deletion> missing;
  {
    STRATA_ASSIGN_OR_RETURN(const tree::Txn txn, gathered.Snapshot());
    Cursor cursor(txn, Table::kIndex);
    for (cursor.First(); cursor.valid(); cursor.Next()) {
      const auto parts = ParseIndexKey(cursor.key());
      const auto version = ParseIndex(cursor.value());
      if (!parts || !version || version->kind != Kind::kTombstone) continue;
      const Position at{parts->revision, version->sub};
      STRATA_ASSIGN_OR_RETURN(const auto stored, txn.Get(Table::kHistory, HistoryKey(at)));
      if (!stored) missing.push_back({at, Unescape(parts->escaped)});
    }
    STRATA_RETURN_IF_ERROR(cursor.status());
  }
  for (const Deletion& deletion : missing) {
    HistoryRecord record;
    record.kind = Kind::kTombstone;
    record.key = deletion.key;
    STRATA_RETURN_IF_ERROR(
        gathered.Put(Table::kHistory, HistoryKey(deletion.at), EncodeHistory(record)));
  }
  return base::OkStatus();
}

base::StatusOr<Revision> MakeStore(const tree::Txn& txn, const std::string& into,
                                   Revision compacted, int64_t& changes) {
  STRATA_ASSIGN_OR_RETURN(const auto import, Import::Create(into));
  STRATA_RETURN_IF_ERROR(
      ForEachLease(txn, [&](int64_t id, int64_t ttl) { return import->AddLease(id, ttl); }));
  Cursor cursor(txn, Table::kHistory);
  for (cursor.First(); cursor.valid(); cursor.Next()) {
    const auto at = ParseHistoryKey(cursor.key());
    const auto record = ParseHistory(cursor.value());
    if (!at || !record) return base::DataLossError("a change of another form");
    STRATA_RETURN_IF_ERROR(import->Add(ToKeyValue({*at, *record})));
    ++changes;
  }
  STRATA_RETURN_IF_ERROR(cursor.status());
  return import->Finish(compacted);
}

// Where a part of the numbers is missing, and that of the compacted revision may have been among
// them, nobody knows what is complete but the newest state.
Revision CompactedOf(Revision stored, const tree::Salvaged& salvaged, Revision newest, Tell tell) {
  constexpr auto kMeta = static_cast<size_t>(Table::kMeta);
  const bool known = salvaged.whole() || (salvaged.expected[kMeta] &&
                                          salvaged.read[kMeta] >= *salvaged.expected[kMeta]);
  if (stored != 0 || known) return stored;
  tell(fmt::format("lost: up to where it was compacted; so all up to revision {} is", newest));
  return newest;
}

}  // namespace

base::StatusOr<Recovered> Recover(const std::string& from, const std::string& into, Revision bump,
                                  bool look_only, Tell tell) {
  STRATA_RETURN_IF_ERROR(DataDir::Check(from, /*may_make=*/false));
  STRATA_ASSIGN_OR_RETURN(const auto dir, DataDir::Hold(from));
  const std::string file = dir->FilePath(kStoreFile);
  Recovered recovered;
  STRATA_ASSIGN_OR_RETURN(const Wal::Remains log,
                          ReadLog(file + kLogSuffix, tell, recovered.unreadable));
  STRATA_ASSIGN_OR_RETURN(const auto gathered, Gathering::Make(into + kGathered));
  STRATA_ASSIGN_OR_RETURN(
      const tree::Salvaged salvaged,
      tree::SalvageTables(file, BeginningOf(file, log),
                          [&](Table table, std::string_view key, std::string_view value) {
                            return gathered->Put(table, key, value);
                          }));
  for (const std::string& what : salvaged.unreadable) tell("unreadable: " + what);
  recovered.unreadable += static_cast<int64_t>(salvaged.unreadable.size());
  STRATA_ASSIGN_OR_RETURN(const Revision compacted_before, gathered->Compacted());
  for (const std::string& record : log.records) STRATA_RETURN_IF_ERROR(gathered->Redo(record));
  STRATA_RETURN_IF_ERROR(MendDeletions(*gathered));

  STRATA_ASSIGN_OR_RETURN(const tree::Txn txn, gathered->Snapshot());
  STRATA_ASSIGN_OR_RETURN(const View view, View::Of(txn));
  Losses losses(txn, tell);
  // The file may be newer than what is done again.
  const Revision compacted =
      CompactedOf(std::max(view.compacted(), compacted_before), salvaged, view.revision(), tell);
  STRATA_RETURN_IF_ERROR(losses.Name(compacted));
  recovered.lost = losses.count();
  recovered.revision = losses.newest();
  if (look_only) return recovered;
  STRATA_ASSIGN_OR_RETURN(const Revision made, MakeStore(txn, into, compacted, recovered.changes));
  // No revision comes again that somebody may have seen.
  STRATA_ASSIGN_OR_RETURN(recovered.revision, Refound(into, losses.newest() - made + bump));
  return recovered;
}

}  // namespace strata::engine
