#include "storage/engine/mirror.h"

#include <utility>

#include "storage/engine/layout.h"
#include "storage/engine/meta.h"
#include "storage/engine/scrub.h"
#include "storage/engine/tree/lmdb_file.h"

namespace strata::engine {
namespace {

using tree::Table;

// Only of addresses: room for whatever the disk has, so that the map never has to grow.
constexpr int64_t kMapBytes = int64_t{1} << 40;

base::Status Put(tree::Txn& txn, Position at, const Mirror::Version& version, bool newest) {
  const Kind kind = version.value ? Kind::kPut : Kind::kTombstone;
  HistoryRecord whole{.kind = kind, .key = version.key};
  if (version.value) whole.value = *version.value;
  const std::string record = EncodeHistory(whole);
  STRATA_RETURN_IF_ERROR(newest ? txn.Append(Table::kHistory, HistoryKey(at), record)
                                : txn.Put(Table::kHistory, HistoryKey(at), record));
  return txn.Put(Table::kIndex, IndexKey(version.key, at.revision),
                 EncodeIndex({.kind = kind, .sub = at.sub}));
}

// Whether the newest version of `key` isn't a deletion.
base::StatusOr<bool> Lives(const tree::Txn& txn, std::string_view key) {
  const std::string first = IndexLowerBound(key);
  tree::Cursor cursor(txn, Table::kIndex);
  cursor.Seek(first);
  STRATA_RETURN_IF_ERROR(cursor.status());
  if (!cursor.valid() || !cursor.key().starts_with(first)) return false;
  const auto record = ParseIndex(cursor.value());
  return record && record->kind == Kind::kPut;
}

}  // namespace

base::StatusOr<std::unique_ptr<Mirror>> Mirror::Create(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(
      auto env, tree::Environment::Open(path, {.initial_map_bytes = kMapBytes, .durable = false}));
  return std::unique_ptr<Mirror>(new Mirror(std::move(env)));
}

Mirror::~Mirror() {
  Hide();
}

void Mirror::Hide() {
  if (std::exchange(named_, false)) tree::LmdbFile::RemoveFiles(env_->path());
}

base::Status Mirror::AddListed(std::span<const Version> versions) {
  STRATA_ASSIGN_OR_RETURN(auto txn, env_->Begin());
  // Nobody asks for the order of what one revision wrote before history begins.
  for (const Version& version : versions)
    STRATA_RETURN_IF_ERROR(Put(txn, {version.revision, listed_++}, version, /*newest=*/false));
  live_ += static_cast<int64_t>(versions.size());
  return txn.Commit();
}

base::Status Mirror::BeginHistory(Revision revision) {
  STRATA_ASSIGN_OR_RETURN(auto txn, env_->Begin());
  STRATA_RETURN_IF_ERROR(PutNumber(txn, kMetaCompacted, revision));
  STRATA_RETURN_IF_ERROR(PutNumber(txn, kMetaScrubbed, revision));
  return txn.Commit();
}

base::Status Mirror::Append(std::span<const Version> changes) {
  STRATA_ASSIGN_OR_RETURN(auto txn, env_->Begin());
  Position at;
  for (const Version& change : changes) {
    STRATA_ASSIGN_OR_RETURN(const bool lived, Lives(txn, change.key));
    live_ += (change.value ? 1 : 0) - (lived ? 1 : 0);
    at = {change.revision, change.revision == at.revision ? at.sub + 1 : 0};
    STRATA_RETURN_IF_ERROR(Put(txn, at, change, /*newest=*/true));
  }
  return txn.Commit();
}

base::StatusOr<bool> Mirror::Forget(Revision revision, size_t max_changes) {
  STRATA_ASSIGN_OR_RETURN(auto txn, env_->Begin());
  STRATA_ASSIGN_OR_RETURN(const Revision compacted, ReadRevision(txn, kMetaCompacted));
  if (revision > compacted) STRATA_RETURN_IF_ERROR(PutNumber(txn, kMetaCompacted, revision));
  STRATA_ASSIGN_OR_RETURN(const Scrubbed done, ScrubStep(txn, max_changes));
  STRATA_RETURN_IF_ERROR(done.damage);
  STRATA_RETURN_IF_ERROR(txn.Commit());
  return done.finished;
}

base::Status Mirror::Look(Revision newest,
                          absl::FunctionRef<base::Status(const View&)> look) const {
  STRATA_ASSIGN_OR_RETURN(const tree::Txn txn, env_->Snapshot());
  STRATA_ASSIGN_OR_RETURN(const Revision compacted, ReadRevision(txn, kMetaCompacted));
  base::Status seen = look(View(txn, newest, compacted));
  STRATA_RETURN_IF_ERROR(txn.Whole());
  return seen;
}

}  // namespace strata::engine
