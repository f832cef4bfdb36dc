#include "storage/engine/tree/lmdb.h"

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libdeflate.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "lib/base/bytes.h"
#include "storage/engine/tree/disk.h"
#include "storage/engine/tree/page_check.h"

namespace strata::engine::tree {
namespace {

constexpr std::array<const char*, kTables> kNames = {"meta", "history", "index", "lease",
                                                     "lease_key"};

MDB_val Value(std::string_view bytes) {
  return {bytes.size(),
          const_cast<char*>(bytes.data())};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

std::string_view View(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

constexpr const char* kCopySuffix = ".defragmented";
constexpr const char* kNewSuffix = ".new";
constexpr size_t kSum = 4;  // bytes of a checksum

// CRC-32: every flip of one bit, and of a run of up to 32, changes it.
uint32_t Sum(Table table, std::string_view key, std::string_view value) {
  const auto first = static_cast<uint32_t>(table);
  const uint32_t of_key = libdeflate_crc32(first, key.data(), key.size());
  if (value.empty()) return of_key;  // a null pointer would start anew
  return libdeflate_crc32(of_key, value.data(), value.size());
}

base::Status Damaged(Table table, std::string_view key) {
  return base::DataLossError(fmt::format("the store is damaged: the checksum of {} {} is wrong",
                                         kNames[static_cast<size_t>(table)],
                                         base::Printable(key, 200)));
}

base::Status Error(int code, std::string_view what) {
  const auto message = fmt::format("{}: {}", what, mdb_strerror(code));
  switch (code) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
      return base::DataLossError(message);
    case MDB_MAP_FULL:
      return base::ResourceExhaustedError(message);
    default:
      return IsDiskFull(code) ? base::ResourceExhaustedError(message)
                              : base::InternalError(message);
  }
}

// LMDB tells of a page that it can't follow once, perhaps where nobody hears it, and then calls the
// transaction bad.
base::Status ReadError(int code) {
  return code == MDB_BAD_TXN ? base::DataLossError("the store is damaged: a page can't be followed")
                             : Error(code, "reading");
}

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

Txn::Txn(Environment& env, MDB_txn* txn, bool write)
    : env_(&env), txn_(txn), write_(write), faults_(env.faults_.count()) {}

Txn::Txn(Txn&& other) noexcept
    : env_(other.env_),
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
  return env_->faults_.count() == faults_ ? base::OkStatus() : MapFaults::Tell();
}

void Txn::Note(RedoOp::Kind kind, Table table, std::string_view key, std::string_view value) {
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
  const int code = mdb_get(txn_, env_->tables_[static_cast<size_t>(table)], &k, &v);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) return ReadError(code);
  return View(v);
}

base::StatusOr<std::optional<std::string_view>> Txn::Get(Table table, std::string_view key) const {
  STRATA_ASSIGN_OR_RETURN(const auto stored, GetBare(table, key));
  if (!stored) return std::nullopt;
  const auto value = env_->Verified(table, key, *stored);
  if (!value) return Damaged(table, key);
  return value;
}

base::Status Txn::PutBare(Table table, std::string_view key, std::string_view value) {
  MDB_val k = Value(key);
  MDB_val v = Value(value);
  const int code = mdb_put(txn_, env_->tables_[static_cast<size_t>(table)], &k, &v, 0);
  if (code != 0) return Failed(code, "writing");
  Note(RedoOp::Kind::kPutBare, table, key, value);
  return base::OkStatus();
}

base::Status Txn::PutChecked(Table table, std::string_view key, std::string_view value,
                             unsigned flags) {
  MDB_val k = Value(key);
  MDB_val v{value.size() + kSum, nullptr};
  const int code =
      mdb_put(txn_, env_->tables_[static_cast<size_t>(table)], &k, &v, MDB_RESERVE | flags);
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
  if (stored && !env_->IsSound(*stored)) return Damaged(table, key);
  MDB_val k = Value(key);
  const int code = mdb_del(txn_, env_->tables_[static_cast<size_t>(table)], &k, nullptr);
  if (code == MDB_NOTFOUND) return base::OkStatus();
  if (code != 0) return Failed(code, "deleting");
  Note(RedoOp::Kind::kDelete, table, key, {});
  return base::OkStatus();
}

base::Status Txn::Commit() {
  return env_->Commit(*this);
}

Cursor::Cursor(const Txn& txn, Table table) : env_(*txn.env_), table_(table) {
  const int code =
      mdb_cursor_open(txn.txn_, txn.env_->tables_[static_cast<size_t>(table)], &cursor_);
  if (code != 0) status_ = Error(code, "opening a cursor");
}

Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

void Cursor::Move(int op, std::string_view to) {
  valid_ = false;
  if (cursor_ == nullptr || !status_.ok()) return;
  MDB_val k = Value(to);
  MDB_val v{};
  const int code = mdb_cursor_get(cursor_, &k, &v, static_cast<MDB_cursor_op>(op));
  if (code == 0) {
    key_ = View(k);
    const auto value = env_.Verified(table_, key_, View(v));
    if (!value) {
      status_ = Damaged(table_, key_);
      return;
    }
    valid_ = true;
    value_ = *value;
  } else if (code != MDB_NOTFOUND) {
    status_ = ReadError(code);
  }
}

void Cursor::Seek(std::string_view key) {
  // LMDB refuses to look for keys that it couldn't hold; what it holds is shorter, so their first
  // bytes decide, but for the keys that equal them.
  if (cursor_ == nullptr) return;
  const auto limit =
      static_cast<size_t>(mdb_env_get_maxkeysize(mdb_txn_env(mdb_cursor_txn(cursor_))));
  Move(MDB_SET_RANGE, key.substr(0, limit));
  while (valid_ && key_ < key) Next();
}

void Cursor::Find(std::string_view key) {
  Move(MDB_SET_KEY, key);
}

void Cursor::First() {
  Move(MDB_FIRST, {});
}
void Cursor::Last() {
  Move(MDB_LAST, {});
}
void Cursor::Next() {
  Move(MDB_NEXT, {});
}
void Cursor::Prev() {
  Move(MDB_PREV, {});
}

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
    STRATA_ASSIGN_OR_RETURN(auto txn, Write());
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

base::StatusOr<Txn> Environment::Write() {
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
