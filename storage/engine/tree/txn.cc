#include "storage/engine/tree/txn.h"

#include <endian.h>
#include <lmdb.h>

#include <cstring>
#include <utility>

#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/disk.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/tree/lmdb_file.h"
#include "storage/engine/tree/lmdb_terms.h"
#include "storage/engine/tree/map_faults.h"

namespace strata::engine::tree {

Txn::Txn(Environment& env, const LmdbFile& file, MDB_txn* txn, bool write)
    : env_(&env), file_(&file), txn_(txn), write_(write), faults_(file.faults()) {}

Txn::Txn(Txn&& other) noexcept
    : env_(other.env_),
      file_(other.file_),
      txn_(std::exchange(other.txn_, nullptr)),
      write_(other.write_),
      map_full_(other.map_full_),
      disk_full_(other.disk_full_),
      faults_(other.faults_),
      changes_(other.changes_),
      redo_(std::move(other.redo_)) {}

Txn::~Txn() {
  if (txn_ == nullptr) return;
  if (write_) {
    mdb_txn_abort(txn_);
  } else {
    env_->Return(txn_);
  }
}

base::Status Txn::Whole() const {
  return file_->faults() == faults_ ? base::OkStatus() : MapFaults::Tell();
}

base::Status Txn::GiveWay() const {
  if (!env_->awaited_.load(std::memory_order_relaxed)) return base::OkStatus();
  return base::Error(base::StatusCode::kAborted, "the end of this snapshot is awaited");
}

void Txn::Note(RedoOp::Kind kind, Table table, std::string_view key, std::string_view value) {
  if (!env_->logged()) return;
  ++changes_;
  if (redo_.size() > Wal::kMaxRecordBytes) return;
  AppendRedo(redo_, {kind, static_cast<uint8_t>(table), key, value});
}

base::Status Txn::Failed(int code, const char* what) {
  map_full_ = code == MDB_MAP_FULL;
  disk_full_ = IsDiskFull(code);
  return Error(code, what);
}

base::StatusOr<std::optional<std::string_view>> Txn::GetBare(Table table,
                                                             std::string_view key) const {
  MDB_val k = Value(key);
  MDB_val v;
  const int code = mdb_get(txn_, file_->table(table), &k, &v);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) return ReadError(code);
  return View(v);
}

base::StatusOr<std::optional<std::string_view>> Txn::Get(Table table, std::string_view key) const {
  STRATA_ASSIGN_OR_RETURN(const auto stored, GetBare(table, key));
  if (!stored) return std::nullopt;
  const auto value = file_->Verified(table, key, *stored);
  if (!value) return Damaged(table, key);
  return value;
}

base::Status Txn::PutBare(Table table, std::string_view key, std::string_view value) {
  MDB_val k = Value(key);
  MDB_val v = Value(value);
  const int code = mdb_put(txn_, file_->table(table), &k, &v, 0);
  if (code != 0) return Failed(code, "writing");
  Note(RedoOp::Kind::kPutBare, table, key, value);
  return base::OkStatus();
}

base::Status Txn::PutChecked(Table table, std::string_view key, std::string_view value,
                             unsigned flags) {
  MDB_val k = Value(key);
  MDB_val v{value.size() + kSum, nullptr};
  const int code = mdb_put(txn_, file_->table(table), &k, &v, MDB_RESERVE | flags);
  if (code != 0) return Failed(code, "writing");
  auto* out = static_cast<char*>(v.mv_data);
  if (!value.empty()) std::memcpy(out, value.data(), value.size());
  const uint32_t sum = htole32(Sum(table, key, value));
  std::memcpy(out + value.size(), &sum, kSum);
  Note((flags & MDB_APPEND) != 0 ? RedoOp::Kind::kAppend : RedoOp::Kind::kPut, table, key, value);
  return base::OkStatus();
}

base::Status Txn::Put(Table table, std::string_view key, std::string_view value) {
  return PutChecked(table, key, value, 0);
}

base::Status Txn::Append(Table table, std::string_view key, std::string_view value) {
  return PutChecked(table, key, value, MDB_APPEND);
}

base::Status Txn::Delete(Table table, std::string_view key) {
  // What it frees is what its page says.
  STRATA_ASSIGN_OR_RETURN(const auto stored, GetBare(table, key));
  if (stored && !file_->IsSound(*stored)) return Damaged(table, key);
  MDB_val k = Value(key);
  const int code = mdb_del(txn_, file_->table(table), &k, nullptr);
  if (code == MDB_NOTFOUND) return base::OkStatus();
  if (code != 0) return Failed(code, "deleting");
  Note(RedoOp::Kind::kDelete, table, key, {});
  return base::OkStatus();
}

base::Status Txn::Commit() {
  return env_->Commit(*this);
}

}  // namespace strata::engine::tree
