// LMDB as this store uses it: one file, five tables, one writer and many snapshots. Commits are
// durable by the write-ahead log beside the file (checkpoints.h), which is to be moved and copied
// together with it; after an orderly end the file is whole without. Nothing outside of this folder
// includes LMDB's header.
//
// LMDB believes what it reads. So every value carries a checksum of its table, key and value, which
// is verified whenever it is read: a flipped bit makes an error that names the record, and nothing
// else. The tree itself, and the keys that records are found by, are looked at when the file is
// opened (page_check.h), and what the disk can't give is noticed (map_faults.h). All of it is
// DataLoss.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "storage/engine/tree/checkpoints.h"
#include "storage/engine/tree/lmdb_file.h"
#include "storage/engine/tree/map_faults.h"
#include "storage/engine/tree/table.h"
#include "storage/engine/tree/txn.h"

struct MDB_txn;

namespace strata::engine::tree {

struct Usage {
  int64_t file_bytes = 0;
  int64_t used_bytes = 0;
};

// Thread-safe. Snapshots may be taken by any thread, but one at a time per thread; there is one
// writing thread.
class Environment {
 public:
  struct Options {
    int64_t initial_map_bytes = int64_t{1} << 30;
    int64_t max_map_bytes = int64_t{1} << 44;
    int max_snapshots = 510;
    // Entries of tables; a write makes four or five.
    size_t changes_between_checkpoints = 4096;
    // Or it is a cache: what the path names is made anew, empty, commits are neither logged nor
    // synced, and after a crash it is nothing.
    bool durable = true;
  };

  // Opens the file, or makes one with mode 0600: aside until it is whole, so that a file that isn't
  // one is damage.
  static base::StatusOr<std::unique_ptr<Environment>> Open(const std::string& path,
                                                           const Options& options);
  ~Environment();

  // Waits while max_snapshots are in use.
  base::StatusOr<Txn> Snapshot() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // The write transaction.
  base::StatusOr<Txn> Begin();

  // Doubles the map: waits until the snapshots in use have ended. ResourceExhausted at
  // max_map_bytes; Unavailable if the store can't be used any more, for want of memory. Called by
  // the writing thread, between transactions.
  base::Status Grow() ABSL_LOCKS_EXCLUDED(map_mu_);

  // Writes the store as it is now into `file`, without its free pages, and syncs it. The map can't
  // grow meanwhile: Grow, Defragment and Reopen wait, and with them whoever writes.
  base::Status CopyTo(int file) ABSL_LOCKS_EXCLUDED(map_mu_, copying_mu_);

  // Replaces the file by a copy without free pages. Waits until the snapshots in use have ended;
  // new ones wait until it is done. Called by the writing thread, between transactions.
  // Unavailable if the store can't be used any more: the file is there, but wouldn't open.
  base::Status Defragment() ABSL_LOCKS_EXCLUDED(map_mu_);

  const std::string& path() const { return path_; }

  // Whether a commit that failed left something that only Reopen clears.
  bool broken() const { return checkpoints_ != nullptr && checkpoints_->stopped(); }
  // Closes the file and opens it again as after a crash. As Defragment otherwise.
  base::Status Reopen() ABSL_LOCKS_EXCLUDED(map_mu_);

  // Bytes of the log that wait for a checkpoint. The writing thread's, as the next.
  uint64_t logged_bytes() const { return checkpoints_ == nullptr ? 0 : checkpoints_->pending(); }
  // How long the log's part of the last commit took.
  std::chrono::nanoseconds logging() const { return logging_; }

  base::StatusOr<Usage> Measure() ABSL_LOCKS_EXCLUDED(pool_mu_);

 private:
  friend class Txn;
  class MapLock;
  Environment(std::string path, const Options& options)
      : path_(std::move(path)), options_(options) {}
  base::Status OpenFile();
  base::Status OpenCache();
  bool logged() const { return options_.durable; }
  base::Status Redo(std::string_view record);
  base::StatusOr<bool> Log(const Txn& txn);
  base::Status Commit(Txn& txn);
  base::Status CommitUnlogged(Txn& txn);
  void CloseFile() ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mu_) ABSL_LOCKS_EXCLUDED(pool_mu_);
  void Return(MDB_txn* snapshot) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  const std::string path_;
  const Options options_;
  MapFaults faults_;
  // Change only while map_mu_ is held alone, by the writing thread. Null: Defragment, Reopen or
  // Grow failed.
  std::unique_ptr<LmdbFile> file_;
  std::unique_ptr<Checkpoints> checkpoints_;  // null too if it is a cache
  // The writing thread's, as the next: of the file that was open last.
  int64_t map_bytes_ = 0;
  std::chrono::nanoseconds logging_{};

  // Held shared by every snapshot: the map moves when it grows, and ends when it is defragmented.
  // While somebody waits to hold it alone no snapshot can be taken. So those who have one must end
  // soon: Txn::GiveWay says when. A copy can't, and is waited for before, while others read.
  absl::Mutex map_mu_ ABSL_ACQUIRED_AFTER(copying_mu_);
  absl::Mutex copying_mu_;
  std::atomic<bool> awaited_ = false;

  // Snapshots that ended are kept for the next: taking a reader's slot anew costs a lock.
  absl::Mutex pool_mu_;
  std::vector<MDB_txn*> idle_ ABSL_GUARDED_BY(pool_mu_);
  int in_use_ ABSL_GUARDED_BY(pool_mu_) = 0;
};

}  // namespace strata::engine::tree
