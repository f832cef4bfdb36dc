#include "storage/engine/tree/checkpoints.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "storage/engine/tree/lmdb_pages.h"

namespace strata::engine::tree {
namespace {

constexpr const char* kWalSuffix = "-wal";

// A checkpoint may be so many times as late as it should be before writes wait for it.
constexpr size_t kMostLate = 8;

static_assert(sizeof(MetaPages) <= Wal::kMaxPagesBytes);

// An error of the disk, whatever LMDB calls it: after a failed fsync nobody knows what is there.
base::Status Failed(int code, const char* what) {
  return base::InternalError(fmt::format("{}: {}", what, mdb_strerror(code)));
}

base::Status Read(int file, uint64_t page_bytes, MetaPages& pages) {
  pages.page_bytes = page_bytes;
  for (size_t i = 0; i < kMetas; ++i) {
    const ssize_t got =
        pread(file, pages.begin[i].data(), kMetaBytes, static_cast<off_t>(i * page_bytes));
    if (got != static_cast<ssize_t>(kMetaBytes)) return Failed(got < 0 ? errno : EIO, "reading");
  }
  return base::OkStatus();
}

base::StatusOr<MetaPages> Parse(const std::string& kept) {
  MetaPages pages;
  if (kept.size() != sizeof(pages)) return base::DataLossError("the log's checkpoint is damaged");
  std::memcpy(&pages, kept.data(), sizeof(pages));
  return pages;
}

base::Status PutBackInto(int file, const std::string& kept) {
  MetaPages present;
  STRATA_ASSIGN_OR_RETURN(const MetaPages pages, Parse(kept));
  STRATA_RETURN_IF_ERROR(Read(file, pages.page_bytes, present));
  // What was synced with the checkpoint is at least as new.
  if (present.newest() < pages.newest()) {
    return base::DataLossError(
        "the file is older than its write-ahead log: they belong to different stores; put back the "
        "file that was here, or remove the log if this file is whole, as a restored snapshot is");
  }
  for (size_t i = 0; i < kMetas; ++i) {
    const ssize_t written =
        pwrite(file, pages.begin[i].data(), kMetaBytes, static_cast<off_t>(i * pages.page_bytes));
    if (written != static_cast<ssize_t>(kMetaBytes))
      return Failed(written < 0 ? errno : EIO, "putting the checkpoint back");
  }
  return base::OkStatus();
}

base::Status PutBack(const std::string& path, const std::string& kept) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return Failed(errno, "opening");
  base::Status done = PutBackInto(file, kept);
  close(file);
  return done;
}

}  // namespace

base::StatusOr<std::unique_ptr<Checkpoints>> Checkpoints::Open(const std::string& tree_path,
                                                               size_t changes_between) {
  STRATA_ASSIGN_OR_RETURN(auto wal, Wal::Open(tree_path + kWalSuffix));
  if (!wal->opened().pages.empty()) STRATA_RETURN_IF_ERROR(PutBack(tree_path, wal->opened().pages));
  return std::unique_ptr<Checkpoints>(new Checkpoints(std::move(wal), changes_between));
}

Checkpoints::~Checkpoints() {
  if (thread_.joinable()) {
    {
      absl::MutexLock lock(&mu_);
      const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return work_ != Work::kAsked; };
      mu_.Await(absl::Condition(&idle));
      work_ = Work::kStop;
    }
    thread_.join();
  }
  for (MDB_txn* guard : {guard_, next_guard_})
    if (guard != nullptr) mdb_txn_abort(guard);
}

void Checkpoints::Run() {
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      const auto wake = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return work_ == Work::kAsked || work_ == Work::kStop;
      };
      mu_.Await(absl::Condition(&wake));
      if (work_ == Work::kStop) return;
    }
    // LMDB's own function looks into the map first, which the writing thread may be moving.
    int file = -1;
    int code = mdb_env_get_fd(tree_, &file);
    if (code == 0 && fdatasync(file) != 0) code = errno;
    result_ = code == 0 ? wal_->Keep(next_) : Failed(code, "syncing");
    absl::MutexLock lock(&mu_);
    work_ = Work::kDone;
  }
}

base::StatusOr<std::string> Checkpoints::ReadPages() const {
  MDB_stat stat;
  if (const int code = mdb_env_stat(tree_, &stat); code != 0) return Failed(code, "reading");
  int file = -1;
  if (const int code = mdb_env_get_fd(tree_, &file); code != 0) return Failed(code, "reading");
  MetaPages pages;
  STRATA_RETURN_IF_ERROR(Read(file, stat.ms_psize, pages));
  return std::string(reinterpret_cast<const char*>(&pages), sizeof(pages));
}

// Between two commits: what the snapshot refers to is what the pages say.
base::StatusOr<Wal::Checkpoint> Checkpoints::TakeGuard(MDB_txn** guard) {
  STRATA_ASSIGN_OR_RETURN(auto pages, ReadPages());
  if (const int code = mdb_txn_begin(tree_, nullptr, MDB_RDONLY, guard); code != 0)
    return Failed(code, "taking a snapshot");
  return Wal::Checkpoint{.from = wal_->end(), .pages = std::move(pages), .closed = {}};
}

base::Status Checkpoints::Keep(const Wal::Checkpoint& checkpoint) {
  failure_ = wal_->Keep(checkpoint);
  closed_ = !checkpoint.closed.empty();
  return failure_;
}

// Also while a transaction is open: LMDB doesn't use pages in it that the state before refers to.
base::Status Checkpoints::Track() {
  STRATA_ASSIGN_OR_RETURN(const auto checkpoint, TakeGuard(&guard_));
  STRATA_RETURN_IF_ERROR(Keep(checkpoint));
  if (const int code = mdb_env_set_flags(tree_, MDB_NOSYNC, 1); code != 0)
    return Failed(code, "preparing to write");
  changes_ = 0;
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  return base::OkStatus();
}

base::Status Checkpoints::Settle() {
  STRATA_RETURN_IF_ERROR(Collect(/*wait=*/true));
  const Wal::Checkpoint settled{.from = wal_->end(), .pages = {}, .closed = {}};
  if (guard_ == nullptr) return closed_ ? Keep(settled) : base::OkStatus();
  if (const int code = mdb_env_sync(tree_, 1); code != 0) {
    Stop(Failed(code, "syncing"));
    return failure_;
  }
  STRATA_RETURN_IF_ERROR(Keep(settled));
  if (const int code = mdb_env_set_flags(tree_, MDB_NOSYNC, 0); code != 0)
    return Failed(code, "settling");
  mdb_txn_abort(std::exchange(guard_, nullptr));
  return base::OkStatus();
}

base::Status Checkpoints::End() {
  if (closed_) return failure_;
  STRATA_RETURN_IF_ERROR(Settle());
  STRATA_ASSIGN_OR_RETURN(auto pages, ReadPages());
  return Keep({.from = wal_->end(), .pages = {}, .closed = std::move(pages)});
}

base::Status Checkpoints::CheckClosed() const {
  if (!closed_) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(const std::string bytes, ReadPages());
  STRATA_ASSIGN_OR_RETURN(const MetaPages present, Parse(bytes));
  STRATA_ASSIGN_OR_RETURN(const MetaPages closed, Parse(wal_->opened().closed));
  for (size_t i = 0; i < kMetas; ++i) {
    if (present.meta(i).txn == closed.meta(i).txn) continue;
    return base::DataLossError(
        fmt::format("the store is damaged: page {} is not as old as when it was closed; "
                    "`strata-storage recover` tells what can be had, or restore it from a "
                    "snapshot; if this is another file, which is whole, as a restored snapshot "
                    "is, remove the log beside it",
                    i));
  }
  return base::OkStatus();
}

base::Status Checkpoints::Recover(MDB_env* tree,
                                  absl::FunctionRef<base::Status(std::string_view)> apply) {
  tree_ = tree;
  if (wal_->opened().pages.empty()) {
    const base::Status same = CheckClosed();
    if (!same.ok()) Stop(same);
    return same;
  }
  // Of the checkpoint that was put back: if this is cut off, the next attempt begins there again.
  int code = mdb_txn_begin(tree_, nullptr, MDB_RDONLY, &guard_);
  if (code == 0) code = mdb_env_set_flags(tree_, MDB_NOSYNC, 1);
  base::Status done = code == 0 ? wal_->Replay(apply) : Failed(code, "opening");
  if (done.ok()) return Settle();
  Stop(done);
  return done;
}

// Nothing if one is being made already.
base::Status Checkpoints::Begin() {
  STRATA_RETURN_IF_ERROR(Collect(/*wait=*/false));
  if (next_guard_ != nullptr) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(next_, TakeGuard(&next_guard_));
  changes_ = 0;
  absl::MutexLock lock(&mu_);
  work_ = Work::kAsked;
  return base::OkStatus();
}

// Takes over the checkpoint that the thread has made, if it has.
base::Status Checkpoints::Collect(bool wait) {
  {
    absl::MutexLock lock(&mu_);
    const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return work_ != Work::kAsked; };
    if (wait) mu_.Await(absl::Condition(&idle));
    if (work_ != Work::kDone) return failure_;
    work_ = Work::kNone;
  }
  if (failure_.ok()) failure_ = result_;
  if (!failure_.ok()) return failure_;
  mdb_txn_abort(std::exchange(guard_, std::exchange(next_guard_, nullptr)));
  return base::OkStatus();
}

base::StatusOr<bool> Checkpoints::Log(std::string_view record) {
  // The file grows by what is written while one is being made: a slow disk holds the writer up.
  // Here, where nobody can read yet what then waits.
  STRATA_RETURN_IF_ERROR(Collect(/*wait=*/changes_ >= kMostLate * changes_between_));
  if (record.size() > Wal::kMaxRecordBytes) {
    STRATA_RETURN_IF_ERROR(Settle());
    return false;
  }
  if (guard_ == nullptr) STRATA_RETURN_IF_ERROR(Track());
  while (!wal_->Fits(record.size())) {
    STRATA_RETURN_IF_ERROR(Begin());
    STRATA_RETURN_IF_ERROR(Collect(/*wait=*/true));
  }
  base::Status appended = wal_->Append(record);
  if (appended.ok()) return true;
  // The file may have free pages where the disk has no room.
  if (absl::IsResourceExhausted(appended)) {
    STRATA_RETURN_IF_ERROR(Settle());
    return false;
  }
  Stop(appended);
  return appended;
}

void Checkpoints::Committed(size_t changes) {
  changes_ += changes;
  // Whoever writes next hears of an error, of this and of what follows. Without room for it the
  // record is there all the same.
  if (base::Status sealed = wal_->Seal(); !sealed.ok() && !absl::IsResourceExhausted(sealed)) {
    Stop(std::move(sealed));
    return;
  }
  if (changes_ < changes_between_ && wal_->pending() < kBytesBetween) return;
  if (base::Status begun = Begin(); !begun.ok()) Stop(std::move(begun));
}

}  // namespace strata::engine::tree
