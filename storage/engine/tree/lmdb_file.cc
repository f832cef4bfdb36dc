#include "storage/engine/tree/lmdb_file.h"

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

#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/disk.h"
#include "storage/engine/tree/lmdb_terms.h"
#include "storage/engine/tree/page_check.h"
#include "storage/engine/tree/wal.h"

namespace strata::engine::tree {
namespace {

constexpr const char* kNewSuffix = ".new";
constexpr const char* kLockSuffix = "-lock";  // LMDB's own

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

// The tables' handles. `flags`: MDB_CREATE in a file that is new; in another one a table that isn't
// there is damage.
int OpenTables(MDB_env* env, unsigned flags, std::array<unsigned, kTables>& tables) {
  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(env, nullptr, 0, &txn); code != 0) return code;
  for (size_t i = 0; i < kTables; ++i) {
    if (const int code = mdb_dbi_open(txn, kNames[i], flags, &tables[i]); code != 0) {
      mdb_txn_abort(txn);
      return code;
    }
  }
  return mdb_txn_commit(txn);
}

base::Status CheckFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return Error(errno, "opening");
  base::Status checked = CheckTree(file);
  close(file);
  return checked;
}

}  // namespace

base::Status LmdbFile::Make(const std::string& path) {
  const std::string made = path + kNewSuffix;
  unlink(made.c_str());  // of a start that was cut off
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code != 0) return Error(code, "making");
  mdb_env_set_maxdbs(env, kTables);
  std::array<unsigned, kTables> tables;
  code = mdb_env_open(env, made.c_str(), MDB_NOSUBDIR | MDB_NOLOCK, 0600);
  if (code == 0) code = OpenTables(env, MDB_CREATE, tables);  // synced with its commit
  mdb_env_close(env);
  if (code != 0) return Error(code, "making");
  if (rename(made.c_str(), path.c_str()) != 0) return Error(errno, "making");
  return SyncDirectory(std::filesystem::path(path).parent_path());
}

base::StatusOr<std::unique_ptr<LmdbFile>> LmdbFile::Open(const std::string& path,
                                                         const Bounds& bounds, MapFaults& faults) {
  STRATA_RETURN_IF_ERROR(CheckFile(path));
  std::unique_ptr<LmdbFile> file(new LmdbFile(bounds, faults));
  STRATA_RETURN_IF_ERROR(file->OpenTree(path, 0, 0));
  return file;
}

base::StatusOr<std::unique_ptr<LmdbFile>> LmdbFile::OpenCache(const std::string& path,
                                                              const Bounds& bounds,
                                                              MapFaults& faults) {
  RemoveFiles(path);
  std::unique_ptr<LmdbFile> file(new LmdbFile(bounds, faults));
  STRATA_RETURN_IF_ERROR(file->OpenTree(path, MDB_NOSYNC, MDB_CREATE));
  return file;
}

void LmdbFile::RemoveFiles(const std::string& path) {
  unlink(path.c_str());
  unlink((path + kLockSuffix).c_str());
}

LmdbFile::~LmdbFile() {
  ForgetMap();
  if (env_ != nullptr) mdb_env_close(env_);
}

base::Status LmdbFile::OpenTree(const std::string& path, unsigned flags, unsigned table_flags) {
  if (const int code = mdb_env_create(&env_); code != 0) return Error(code, "opening");
  struct stat file {};
  const int64_t size = stat(path.c_str(), &file) == 0 ? file.st_size : 0;
  while (map_bytes_ < size * 2 && map_bytes_ < bounds_.max_map_bytes) map_bytes_ *= 2;
  map_bytes_ = std::min(map_bytes_, std::max(bounds_.max_map_bytes, size));

  mdb_env_set_mapsize(env_, static_cast<size_t>(map_bytes_));
  mdb_env_set_maxdbs(env_, kTables);
  // Besides them: a copy, and two checkpoints.
  mdb_env_set_maxreaders(env_, static_cast<unsigned>(bounds_.snapshots) + 4);
  // MDB_NOTLS: a snapshot belongs to its Txn object, not to the thread, so that the pool can hand
  // it on.
  if (const int code = mdb_env_open(env_, path.c_str(), MDB_NOSUBDIR | MDB_NOTLS | flags, 0600);
      code != 0) {
    return Error(code, "opening");
  }
  if (const int code = FillUp(env_); code != 0) return Error(code, "opening");

  if (const int code = OpenTables(env_, table_flags, tables_); code != 0)
    return Error(code, "opening");
  return WatchMap();
}

// LMDB doesn't tell where its map is; but a page knows its own number, and here is one: that of the
// list of tables.
base::Status LmdbFile::WatchMap() {
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

void LmdbFile::ForgetMap() {
  faults_.Watch(nullptr, 0);
  map_ = {};
}

// The guards of checkpoints are never read by, and don't mind that the map moves.
base::Status LmdbFile::Grow() {
  const int64_t bytes = std::min(map_bytes_ * 2, bounds_.max_map_bytes);
  if (bytes <= map_bytes_) return base::ResourceExhaustedError("the map is at its limit");
  ForgetMap();
  if (const int code = mdb_env_set_mapsize(env_, static_cast<size_t>(bytes)); code != 0) {
    return Error(code, fmt::format("growing the map to {} bytes, which ulimit -v counts", bytes));
  }
  map_bytes_ = bytes;
  return WatchMap();
}

// It isn't in the map if this transaction wrote it.
bool LmdbFile::IsSound(std::string_view stored) const {
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

std::optional<std::string_view> LmdbFile::Verified(Table table, std::string_view key,
                                                   std::string_view stored) const {
  return IsSound(stored) ? tree::Verified(table, key, stored) : std::nullopt;
}

bool LmdbFile::HasRoom() const {
  int file = -1;
  struct stat status {};
  if (mdb_env_get_fd(env_, &file) != 0 || fstat(file, &status) != 0) return true;
  const int code = posix_fallocate(file, status.st_size, off_t{2} * Wal::kMaxRecordBytes);
  if (ftruncate(file, status.st_size) != 0) return true;
  return !IsDiskFull(code);
}

bool LmdbFile::Usable() const {
  MDB_txn* txn = nullptr;
  if (mdb_txn_begin(env_, nullptr, 0, &txn) != 0) return false;
  mdb_txn_abort(txn);
  return true;
}

}  // namespace strata::engine::tree
