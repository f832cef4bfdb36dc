// Lets a tree's file (LMDB's) lag behind the write-ahead log.
//
// LMDB by itself syncs the pages of a commit, which lie all over the file, and then the page that
// makes them valid. Here a commit is a record of the log instead, one append and one fsync; LMDB
// writes its pages without syncing them, and a thread syncs them together, many commits at once: a
// checkpoint. What holds:
//
// - LMDB never overwrites a page that a snapshot in use refers to. So a checkpoint begins by taking
//   one, the guard, which isn't given back before the next checkpoint is complete: until then all
//   that the file held at the last one is there, whatever was written since, in whatever order the
//   disk got it.
// - Which pages those are is what the file's first two say, LMDB's meta pages, which each commit
//   overwrites. The log's checkpoint holds a copy of what they say. After an end that wasn't
//   orderly they are put back, always, and the records that follow are done again: the file's own
//   meta pages are believed only where the log says that it is settled, and where it was closed in
//   order only if they are as old as they were then: of the two the newer one counts, so that one
//   flipped bit would bring an old state back.
// - A transaction too large for the log settles it first, and is synced by LMDB. So is whatever
//   replaces the file.
//
// While it lags, pages that commits free aren't used again until the next checkpoint: the file is
// larger by what two of them lie apart, about two pages for each change.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "lib/base/status.h"
#include "storage/engine/tree/wal.h"

struct MDB_env;
struct MDB_txn;

namespace strata::engine::tree {

// Belongs to the writing thread.
class Checkpoints {
 public:
  // Bytes of the log after which a checkpoint is begun.
  static constexpr uint64_t kBytesBetween = uint64_t{16} << 20;

  // Opens the log beside the file, and puts the pages of the file back that it has to begin with.
  // A checkpoint is begun after so many changes, too.
  static base::StatusOr<std::unique_ptr<Checkpoints>> Open(const std::string& tree_path,
                                                           size_t changes_between);
  Checkpoints(const Checkpoints&) = delete;
  Checkpoints& operator=(const Checkpoints&) = delete;
  // The tree is still open. Leaves the log as it is: Settle or End come first, unless the disk
  // failed.
  ~Checkpoints();

  // Does with `apply` what the file lacks, each record in one transaction, and settles it. DataLoss
  // if it isn't the file that was closed.
  base::Status Recover(MDB_env* tree, absl::FunctionRef<base::Status(std::string_view)> apply);

  // Before a commit: makes it durable. False if the record is too large, or the disk has no room
  // for it: then the file is settled, and the commit syncs it. ResourceExhausted if the disk lacks
  // the room for a checkpoint: it isn't durable; after any other error nobody knows.
  base::StatusOr<bool> Log(std::string_view record);
  // The commit failed that was logged: it won't be done after a restart.
  base::Status TakeBack() { return wal_->TakeBack(); }
  // It succeeded, and made so many changes. Others read them already, and wait to hear of them:
  // nothing is waited for here.
  void Committed(size_t changes);

  // A record was ever logged before it was opened.
  bool used() const { return wal_->opened().from.position > 0; }

  // Bytes of the log since the last checkpoint.
  uint64_t pending() const { return wal_->pending(); }

  // The file is whole by itself, and the log empty.
  base::Status Settle();
  // The same of a file that is closed now, and not written or replaced before it is opened again.
  base::Status End();

  // The tree can't be trusted any more: from now on everything fails with `why`, and the log is
  // left as it is, until the tree is opened anew. An error of a checkpoint does the same.
  void Stop(base::Status why) { failure_ = std::move(why); }
  bool stopped() const { return !failure_.ok(); }

 private:
  Checkpoints(std::unique_ptr<Wal> wal, size_t changes_between)
      : wal_(std::move(wal)),
        changes_between_(changes_between),
        closed_(!wal_->opened().closed.empty()) {}
  base::StatusOr<std::string> ReadPages() const;  // as MetaPages
  base::Status CheckClosed() const;

  base::StatusOr<Wal::Checkpoint> TakeGuard(MDB_txn** guard);
  base::Status Keep(const Wal::Checkpoint& checkpoint);
  base::Status Track();
  base::Status Begin();
  base::Status Collect(bool wait) ABSL_LOCKS_EXCLUDED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const std::unique_ptr<Wal> wal_;
  const size_t changes_between_;
  MDB_env* tree_ = nullptr;
  // The snapshot of the newest checkpoint that is known to be complete. Null: the file is settled,
  // and LMDB syncs its commits.
  MDB_txn* guard_ = nullptr;
  MDB_txn* next_guard_ = nullptr;  // of the one that is being made
  size_t changes_ = 0;             // since the last one was begun
  bool closed_;                    // says the log of the file, which nothing was written to since
  base::Status failure_;

  // The thread syncs the file, then keeps next_.
  enum class Work { kNone, kAsked, kDone, kStop };
  absl::Mutex mu_;
  Work work_ ABSL_GUARDED_BY(mu_) = Work::kNone;
  Wal::Checkpoint next_;  // the thread's while kAsked, as is result_
  base::Status result_;
  std::thread thread_;
};

}  // namespace strata::engine::tree
