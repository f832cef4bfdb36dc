#include "storage/engine/tree/environment.h"

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/disk.h"
#include "storage/engine/tree/lmdb_terms.h"
#include "storage/engine/tree/page_check.h"
#include "storage/engine/tree/redo.h"

namespace strata::engine::tree {
namespace {

constexpr const char* kCopySuffix = ".defragmented";
constexpr const char* kNewSuffix = ".new";

// A write that came short for want of room is EIO to LMDB. Whether it was for that shows in whether
// there is room now, for more than any commit that is logged takes.
bool HasRoom(MDB_env* env) {
  int file = -1;
  struct stat status {};
  if (mdb_env_get_fd(env, &file) != 0 || fstat(file, &status) != 0) return true;
  const int code = posix_fallocate(file, status.st_size, off_t{2} * Wal::kMaxRecordBytes);
  if (ftruncate(file, status.st_size) != 0) return true;
  return !IsDiskFull(code);
}

// A file that was cut ends the process when the map is read behind its end; a hole there is damage
// like any other. Free pages at the end may never have been written, so that a file may be short
// without being damaged.
int FillUp(MDB_env* env) {
  MDB_envinfo info;
  MDB_stat stat;
  struct stat status {};
  int file = -1;
  if (const int code = mdb_env_info(env, &info); code != 0) return code;
  if (const int code = mdb_env_stat(env, &stat); code != 0) return code;
  if (const int code = mdb_env_get_fd(env, &file); code != 0) return code;
  if (fstat(file, &status) != 0) return errno;
  const auto whole = static_cast<off_t>((info.me_last_pgno + 1) * stat.ms_psize);
  return status.st_size >= whole || ftruncate(file, whole) == 0 ? 0 : errno;
}

// The tables' handles, made if they aren't there.
int OpenTables(MDB_env* env, std::array<unsigned, kTables>& tables) {
  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(env, nullptr, 0, &txn); code != 0) return code;
  for (size_t i = 0; i < kTables; ++i) {
    if (const int code = mdb_dbi_open(txn, kNames[i], MDB_CREATE, &tables[i]); code != 0) {
      mdb_txn_abort(txn);
      return code;
    }
  }
  return mdb_txn_commit(txn);
}

// LMDB refuses everything after it couldn't write a meta page.
bool Usable(MDB_env* env) {
  MDB_txn* txn = nullptr;
  if (mdb_txn_begin(env, nullptr, 0, &txn) != 0) return false;
  mdb_txn_abort(txn);
  return true;
}

}  // namespace

base::StatusOr<std::unique_ptr<Environment>> Environment::Open(const std::string& path,
                                                               const Options& options) {
  std::unique_ptr<Environment> env(new Environment(path, options));
  unlink((path + kCopySuffix).c_str());  // of a defragmentation that was cut off
  STRATA_RETURN_IF_ERROR(base::Annotate(env->OpenFile(), path));
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
    STRATA_RETURN_IF_ERROR(MakeTree());
  }
  STRATA_RETURN_IF_ERROR(CheckFile());
  STRATA_RETURN_IF_ERROR(OpenTree());
  checkpoints_ = std::move(checkpoints);
  return checkpoints_->Recover(env_, [this](std::string_view record) { return Redo(record); });
}

base::Status Environment::MakeTree() const {
  const std::string made = path_ + kNewSuffix;
  unlink(made.c_str());  // of a start that was cut off
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code != 0) return Error(code, "making");
  mdb_env_set_maxdbs(env, kTables);
  std::array<unsigned, kTables> tables;
  code = mdb_env_open(env, made.c_str(), MDB_NOSUBDIR | MDB_NOLOCK, 0600);
  if (code == 0) code = OpenTables(env, tables);  // synced with its commit
  mdb_env_close(env);
  if (code != 0) return Error(code, "making");
  if (rename(made.c_str(), path_.c_str()) != 0) return Error(errno, "making");
  return SyncDirectory(std::filesystem::path(path_).parent_path());
}

base::Status Environment::CheckFile() const {
  const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return Error(errno, "opening");
  base::Status checked = CheckTree(file);
  close(file);
  return checked;
}

base::Status Environment::OpenTree() {
  if (const int code = mdb_env_create(&env_); code != 0) return Error(code, "opening");
  struct stat file {};
  const int64_t size = stat(path_.c_str(), &file) == 0 ? file.st_size : 0;
  map_bytes_ = std::max(map_bytes_, options_.initial_map_bytes);
  while (map_bytes_ < size * 2 && map_bytes_ < options_.max_map_bytes) map_bytes_ *= 2;
  map_bytes_ = std::min(map_bytes_, std::max(options_.max_map_bytes, size));

  mdb_env_set_mapsize(env_, static_cast<size_t>(map_bytes_));
  mdb_env_set_maxdbs(env_, kTables);
  // Besides them: a copy, and two checkpoints.
  mdb_env_set_maxreaders(env_, static_cast<unsigned>(options_.max_snapshots) + 4);
  // MDB_NOTLS: a snapshot belongs to its Txn object, not to the thread, so that the pool can hand
  // it on.
  if (const int code = mdb_env_open(env_, path_.c_str(), MDB_NOSUBDIR | MDB_NOTLS, 0600);
      code != 0) {
    return Error(code, "opening");
  }
  if (const int code = FillUp(env_); code != 0) return Error(code, "opening");

  if (const int code = OpenTables(env_, tables_); code != 0) return Error(code, "opening");
  return WatchMap();
}

// LMDB doesn't tell where its map is; but a page knows its own number, and here is one: that of the
// list of tables.
base::Status Environment::WatchMap() {
  MDB_stat stat;
  MDB_txn* txn = nullptr;
  MDB_val key = Value(kNames[0]), table{};
  MDB_dbi list = 0;
  int code = mdb_env_stat(env_, &stat);
  if (code == 0) code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != 0) return Error(code, "opening");
  code = mdb_dbi_open(txn, nullptr, 0, &list);
  if (code == 0) code = mdb_get(txn, list, &key, &table);
  if (code == 0) {
    page_bytes_ = stat.ms_psize;
    auto* const at = static_cast<char*>(table.mv_data);
    char* const page = at - reinterpret_cast<uintptr_t>(at) % page_bytes_;
    uint64_t number;
    std::memcpy(&number, page, sizeof(number));
    char* const begin = page - number * page_bytes_;
    map_ = {begin, static_cast<size_t>(map_bytes_)};
    faults_.Watch(begin, map_.size());
  }
  mdb_txn_abort(txn);
  return code == 0 ? base::OkStatus() : Error(code, "opening");
}

// Whether LMDB gave it from where it can be. It isn't in the map if this transaction wrote it.
bool Environment::IsSound(std::string_view stored) const {
  const auto begin = reinterpret_cast<uintptr_t>(map_.data());
  const auto at = reinterpret_cast<uintptr_t>(stored.data());
  if (at < begin || at >= begin + map_.size()) return true;
  if (stored.size() > begin + map_.size() - at) return false;
  // A large value stands behind the head of its own page.
  constexpr size_t kPageHead = 16;
  constexpr uint16_t kOverflow = 4;
  if ((at - begin) % page_bytes_ != kPageHead) return true;
  struct {
    uint64_t number;
    uint16_t pad, flags;
    uint32_t pages;
  } head;
  static_assert(sizeof(head) == kPageHead);
  std::memcpy(&head, stored.data() - kPageHead, sizeof(head));
  return head.number == (at - begin) / page_bytes_ && head.flags == kOverflow &&
         head.pages == (kPageHead - 1 + stored.size()) / page_bytes_ + 1;
}

// The value without its checksum; nothing if that is wrong.
std::optional<std::string_view> Environment::Verified(Table table, std::string_view key,
                                                      std::string_view stored) const {
  if (stored.size() < kSum || !IsSound(stored)) return std::nullopt;
  const std::string_view value = stored.substr(0, stored.size() - kSum);
  uint32_t sum;
  std::memcpy(&sum, stored.data() + value.size(), kSum);
  if (le32toh(sum) != Sum(table, key, value)) return std::nullopt;
  return value;
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
    STRATA_RETURN_IF_ERROR(GrowMap());
  }
}

Environment::~Environment() {
  absl::WriterMutexLock lock(&map_mu_);
  // If it fails, the log has everything.
  if (checkpoints_ != nullptr) checkpoints_->Settle().IgnoreError();
  CloseFile();
}

void Environment::CloseFile() {
  checkpoints_.reset();
  absl::MutexLock lock(&pool_mu_);
  for (MDB_txn* txn : idle_) mdb_txn_abort(txn);
  idle_.clear();
  faults_.Watch(nullptr, 0);
  map_ = {};
  if (env_ != nullptr) mdb_env_close(env_);
  env_ = nullptr;
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
  if (env_ != nullptr)
    code = txn != nullptr ? mdb_txn_renew(txn) : mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code == 0) return Txn(*this, txn, /*write=*/false);
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
  if (env_ == nullptr) return Error(MDB_BAD_TXN, "beginning to write");
  if (const int code = mdb_txn_begin(env_, nullptr, 0, &txn); code != 0) {
    return Error(code, "beginning to write");
  }
  return Txn(*this, txn, /*write=*/true);
}

// False: the transaction has to be synced with its commit.
base::StatusOr<bool> Environment::Log(const Txn& txn) {
  const auto start = std::chrono::steady_clock::now();
  auto logged = checkpoints_->Log(txn.redo_);
  logging_ = std::chrono::steady_clock::now() - start;
  return logged;
}

base::Status Environment::Commit(Txn& txn) {
  const base::StatusOr<bool> logged = Log(txn);
  if (!logged.ok()) {
    txn.disk_full_ = absl::IsResourceExhausted(logged.status());
    return logged.status();
  }
  if (int code = mdb_txn_commit(std::exchange(txn.txn_, nullptr)); code != 0) {
    if (code == EIO && !HasRoom(env_)) code = ENOSPC;
    base::Status failed = txn.Failed(code, "committing");
    // What is refused must not come back.
    if (base::Status undone = *logged ? checkpoints_->TakeBack() : base::OkStatus(); !undone.ok()) {
      txn.map_full_ = txn.disk_full_ = false;
      failed = std::move(undone);
    }
    if (txn.map_full_) return failed;
    if (!txn.disk_full_ || !Usable(env_)) {
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

// The guards of checkpoints are never read by, and don't mind that the map moves.
base::Status Environment::GrowMap() {
  const int64_t bytes = std::min(map_bytes_ * 2, options_.max_map_bytes);
  if (bytes <= map_bytes_) return base::ResourceExhaustedError("the map is at its limit");
  faults_.Watch(nullptr, 0);
  map_ = {};
  if (const int code = mdb_env_set_mapsize(env_, static_cast<size_t>(bytes)); code != 0)
    return Error(code, "growing the map");
  map_bytes_ = bytes;
  return WatchMap();
}

base::Status Environment::Grow() {
  absl::WriterMutexLock lock(&map_mu_);
  return GrowMap();
}

base::Status Environment::CopyTo(int file) {
  absl::ReaderMutexLock lock(&map_mu_);
  if (env_ == nullptr) return Error(MDB_BAD_TXN, "copying");
  if (faults_.count() > 0) return MapFaults::Tell();
  if (const int code = mdb_env_copyfd2(env_, file, MDB_CP_COMPACT); code != 0)
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
  absl::WriterMutexLock lock(&map_mu_);
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
  absl::WriterMutexLock lock(&map_mu_);
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
  if (const int code = mdb_env_info(env_, &info); code != 0) return Error(code, "measuring");
  Usage usage;
  size_t pages = 2;  // the meta pages
  for (const unsigned table : tables_) {
    if (const int code = mdb_stat(txn.txn_, table, &stat); code != 0) {
      return Error(code, "measuring");
    }
    pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    usage.file_bytes = static_cast<int64_t>((info.me_last_pgno + 1) * stat.ms_psize);
    usage.used_bytes = static_cast<int64_t>(pages * stat.ms_psize);
  }
  return usage;
}

}  // namespace strata::engine::tree
