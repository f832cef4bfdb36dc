#include "storage/engine/tree/environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "storage/engine/tree/disk.h"
#include "storage/engine/tree/lmdb_terms.h"
#include "storage/engine/tree/redo.h"

namespace strata::engine::tree {
namespace {

constexpr const char* kCopySuffix = ".defragmented";

}  // namespace

// The map alone, without snapshots and copies.
class ABSL_SCOPED_LOCKABLE Environment::MapLock {
 public:
  explicit MapLock(Environment& env) ABSL_EXCLUSIVE_LOCK_FUNCTION(env.map_mu_)
      : copies_(&env.copying_mu_), env_(env) {
    env_.awaited_ = true;
    env_.map_mu_.WriterLock();
    env_.awaited_ = false;
  }
  MapLock(const MapLock&) = delete;
  MapLock& operator=(const MapLock&) = delete;
  ~MapLock() ABSL_UNLOCK_FUNCTION() { env_.map_mu_.WriterUnlock(); }

 private:
  const absl::WriterMutexLock copies_;
  Environment& env_;
};

base::StatusOr<std::unique_ptr<Environment>> Environment::Open(const std::string& path,
                                                               const Options& options) {
  std::unique_ptr<Environment> env(new Environment(path, options));
  unlink((path + kCopySuffix).c_str());  // of a defragmentation that was cut off
  STRATA_RETURN_IF_ERROR(
      base::Annotate(options.durable ? env->OpenFile() : env->OpenCache(), path));
  return env;
}

base::Status Environment::OpenFile() {
  STRATA_ASSIGN_OR_RETURN(auto checkpoints,
                          Checkpoints::Open(path_, options_.changes_between_checkpoints));
  struct stat file {};
  if (stat(path_.c_str(), &file) != 0 && errno == ENOENT) {
    // An empty store in its place would pass for the one whose records were logged.
    if (checkpoints->used()) {
      return base::DataLossError(
          "the file is gone, and its write-ahead log is there: put it back, or restore it from a "
          "snapshot into an empty directory");
    }
    STRATA_RETURN_IF_ERROR(LmdbFile::Make(path_));
  }
  map_bytes_ = std::max(map_bytes_, options_.initial_map_bytes);
  STRATA_ASSIGN_OR_RETURN(file_, LmdbFile::Open(path_,
                                                {.map_bytes = map_bytes_,
                                                 .max_map_bytes = options_.max_map_bytes,
                                                 .snapshots = options_.max_snapshots},
                                                faults_));
  checkpoints_ = std::move(checkpoints);
  return checkpoints_->Recover(file_->env(),
                               [this](std::string_view record) { return Redo(record); });
}

base::Status Environment::OpenCache() {
  map_bytes_ = options_.initial_map_bytes;
  STRATA_ASSIGN_OR_RETURN(file_, LmdbFile::OpenCache(path_,
                                                     {.map_bytes = map_bytes_,
                                                      .max_map_bytes = options_.max_map_bytes,
                                                      .snapshots = options_.max_snapshots},
                                                     faults_));
  return base::OkStatus();
}

// In one transaction, which isn't logged.
base::Status Environment::Redo(std::string_view record) {
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(auto txn, Begin());
    base::Status done = ForEachRedo(record, [&](const RedoOp& op) -> base::Status {
      if (op.table >= kTables) return base::DataLossError("the write-ahead log knows more tables");
      const auto table = static_cast<Table>(op.table);
      switch (op.kind) {
        case RedoOp::Kind::kPut:
          return txn.Put(table, op.key, op.value);
        case RedoOp::Kind::kAppend:
          return txn.Append(table, op.key, op.value);
        case RedoOp::Kind::kPutBare:
          return txn.PutBare(table, op.key, op.value);
        case RedoOp::Kind::kDelete:
          return txn.Delete(table, op.key);
      }
      return base::OkStatus();
    });
    const int code = done.ok() ? mdb_txn_commit(std::exchange(txn.txn_, nullptr)) : 0;
    if (done.ok() && code == 0) return done;
    if (!txn.map_full() && code != MDB_MAP_FULL) return done.ok() ? Error(code, "redoing") : done;
    // The map can't grow while it is open.
    if (txn.txn_ != nullptr) mdb_txn_abort(std::exchange(txn.txn_, nullptr));
    STRATA_RETURN_IF_ERROR(file_->Grow());
  }
}

Environment::~Environment() {
  const MapLock lock(*this);
  // If it fails, the log has everything.
  if (checkpoints_ != nullptr) checkpoints_->End().IgnoreError();
  CloseFile();
}

void Environment::CloseFile() {
  checkpoints_.reset();
  absl::MutexLock lock(&pool_mu_);
  for (MDB_txn* txn : idle_) mdb_txn_abort(txn);
  idle_.clear();
  if (file_ != nullptr) map_bytes_ = file_->map_bytes();
  file_.reset();
}

base::StatusOr<Txn> Environment::Snapshot() {
  {
    absl::MutexLock lock(&pool_mu_);
    const auto free = [this]() ABSL_SHARED_LOCKS_REQUIRED(pool_mu_) {
      return in_use_ < options_.max_snapshots;
    };
    pool_mu_.Await(absl::Condition(&free));
    ++in_use_;
  }
  map_mu_.ReaderLock();
  MDB_txn* txn = nullptr;
  {
    absl::MutexLock lock(&pool_mu_);
    if (!idle_.empty()) {
      txn = idle_.back();
      idle_.pop_back();
    }
  }
  int code = MDB_BAD_TXN;
  if (file_ != nullptr)
    code = txn != nullptr ? mdb_txn_renew(txn)
                          : mdb_txn_begin(file_->env(), nullptr, MDB_RDONLY, &txn);
  if (code == 0) return Txn(*this, *file_, txn, /*write=*/false);
  if (txn != nullptr) mdb_txn_abort(txn);
  map_mu_.ReaderUnlock();
  absl::MutexLock lock(&pool_mu_);
  --in_use_;
  return Error(code, "taking a snapshot");
}

void Environment::Return(MDB_txn* snapshot) {
  mdb_txn_reset(snapshot);
  {
    absl::MutexLock lock(&pool_mu_);
    --in_use_;
    idle_.push_back(snapshot);
  }
  map_mu_.ReaderUnlock();
}

base::StatusOr<Txn> Environment::Begin() {
  MDB_txn* txn = nullptr;
  if (file_ == nullptr) return Error(MDB_BAD_TXN, "beginning to write");
  if (const int code = mdb_txn_begin(file_->env(), nullptr, 0, &txn); code != 0) {
    return Error(code, "beginning to write");
  }
  return Txn(*this, *file_, txn, /*write=*/true);
}

// False: the transaction has to be synced with its commit.
base::StatusOr<bool> Environment::Log(const Txn& txn) {
  const auto start = std::chrono::steady_clock::now();
  auto logged = checkpoints_->Log(txn.redo_);
  logging_ = std::chrono::steady_clock::now() - start;
  return logged;
}

base::Status Environment::CommitUnlogged(Txn& txn) {
  int code = mdb_txn_commit(std::exchange(txn.txn_, nullptr));
  if (code == EIO && !file_->HasRoom()) code = ENOSPC;
  return code == 0 ? base::OkStatus() : txn.Failed(code, "committing");
}

base::Status Environment::Commit(Txn& txn) {
  if (!logged()) return CommitUnlogged(txn);
  const base::StatusOr<bool> logged = Log(txn);
  if (!logged.ok()) {
    txn.disk_full_ = absl::IsResourceExhausted(logged.status());
    return logged.status();
  }
  if (int code = mdb_txn_commit(std::exchange(txn.txn_, nullptr)); code != 0) {
    if (code == EIO && !file_->HasRoom()) code = ENOSPC;
    base::Status failed = txn.Failed(code, "committing");
    // What is refused must not come back.
    if (base::Status undone = *logged ? checkpoints_->TakeBack() : base::OkStatus(); !undone.ok()) {
      txn.map_full_ = txn.disk_full_ = false;
      failed = std::move(undone);
    }
    if (txn.map_full_) return failed;
    if (!txn.disk_full_ || !file_->Usable()) {
      checkpoints_->Stop(failed);
      return failed;
    }
    // Then a restart needs no room, and the pages are free that the last checkpoint needed.
    base::Status settled = checkpoints_->Settle();
    if (settled.ok()) return failed;
    txn.disk_full_ = false;
    return settled;
  }
  if (*logged) checkpoints_->Committed(txn.changes_);
  return base::OkStatus();
}

base::Status Environment::Grow() {
  const MapLock lock(*this);
  base::Status grown = file_->Grow();
  if (grown.ok() || absl::IsResourceExhausted(grown)) return grown;
  CloseFile();
  return base::UnavailableError(fmt::format("{}: {}", path_, base::Message(grown)));
}

base::Status Environment::CopyTo(int file) {
  const absl::ReaderMutexLock copying(&copying_mu_);
  const absl::ReaderMutexLock lock(&map_mu_);
  if (file_ == nullptr) return Error(MDB_BAD_TXN, "copying");
  if (faults_.count() > 0) return MapFaults::Tell();
  if (const int code = mdb_env_copyfd2(file_->env(), file, MDB_CP_COMPACT); code != 0)
    return Error(code, "copying");
  if (faults_.count() > 0) return MapFaults::Tell();
  return fsync(file) == 0 ? base::OkStatus() : Error(errno, "copying");
}

base::Status Environment::Defragment() {
  const std::string copy = path_ + kCopySuffix;
  const int file = open(copy.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Error(errno, copy);
  base::Status copied = CopyTo(file);
  close(file);
  if (!copied.ok()) {
    unlink(copy.c_str());
    return copied;
  }
  const MapLock lock(*this);
  base::Status replaced = checkpoints_->Settle();
  if (!replaced.ok() && !absl::IsResourceExhausted(replaced)) {
    unlink(copy.c_str());
    return base::UnavailableError(fmt::format("{}: {}", path_, base::Message(replaced)));
  }
  CloseFile();
  if (replaced.ok() && rename(copy.c_str(), path_.c_str()) != 0) replaced = Error(errno, path_);
  if (!replaced.ok()) unlink(copy.c_str());
  // Before any checkpoint of the new file: after a power cut the old one must not come back.
  base::Status opened = SyncDirectory(std::filesystem::path(path_).parent_path());
  if (opened.ok()) opened = OpenFile();  // the old file, or the new one
  if (opened.ok()) return replaced;
  CloseFile();
  return base::UnavailableError(fmt::format("{}: {}", path_, base::Message(opened)));
}

base::Status Environment::Reopen() {
  const MapLock lock(*this);
  CloseFile();
  base::Status opened = OpenFile();
  if (opened.ok()) return opened;
  CloseFile();
  return base::UnavailableError(fmt::format("{}: {}", path_, base::Message(opened)));
}

base::StatusOr<Usage> Environment::Measure() {
  STRATA_ASSIGN_OR_RETURN(const Txn txn, Snapshot());
  MDB_envinfo info;
  MDB_stat stat;
  if (const int code = mdb_env_info(file_->env(), &info); code != 0)
    return Error(code, "measuring");
  Usage usage;
  size_t pages = 2;  // the meta pages
  for (size_t table = 0; table < kTables; ++table) {
    const int code = mdb_stat(txn.txn_, file_->table(static_cast<Table>(table)), &stat);
    if (code != 0) {
      return Error(code, "measuring");
    }
    pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    usage.file_bytes = static_cast<int64_t>((info.me_last_pgno + 1) * stat.ms_psize);
    usage.used_bytes = static_cast<int64_t>(pages * stat.ms_psize);
  }
  return usage;
}

}  // namespace strata::engine::tree
