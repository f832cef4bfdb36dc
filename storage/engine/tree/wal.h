// The write-ahead log beside the tree's file: a write is durable when its record is, after one
// append and one fsync, and reaches the tree's file later, together with others.
//
// The file begins with two places for checkpoints, used in turn. A checkpoint says from which
// position on records have to be done again, and holds what the first pages of the tree's file were
// then (checkpoints.h). Behind them lies a ring of records. All numbers are little-endian:
//
//   checkpoint  crc32 of the rest | magic, 4 bytes | format u32 | salt u32 | generation u64 |
//               position u64 | chain u32 | pages' size u32 | pages; then, or zeros, crc32 of the
//               closed pages, after the first one | their size u32 | closed pages
//   record      crc32 of the rest | chain u32 | size u32 | kind u32 | position u64 | bytes, and
//               zeros to a multiple of 8
//
// Positions count bytes since the log was made; modulo the ring's size they are places in it. A
// record lies in one piece, so that the ring's end may stay unused. `chain` is the crc32 of the
// record before. What is found at a position is the next record only if both are right, so that
// nothing left over from the last round is taken for it. The salt begins the crc32 of records: no
// client can write a value that looks like one.
//
// At most one record is being written at a time, and it is synced before the next is begun: a power
// cut damages no record but the last. If one is damaged and another stands behind it, that is no
// power cut, and going on would lose writes that somebody was told of: DataLoss. So that this holds
// of the last one too, a record whose commit is about to be answered gets a seal behind it: the
// head of an empty record of another kind, where the next record will overwrite it. It isn't synced
// by itself. A process that is killed leaves it; a power cut in the seconds before the system
// writes it may not, and then a damaged last record can't be told from one that was cut off.
// For the same reason each checkpoint is kept in two copies: a flipped bit in one isn't taken for a
// cut.
#pragma once

#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::engine::tree {

// Belongs to one thread, but that another may call Keep, one at a time, beside everything else.
class Wal {
 public:
  // A place between two records.
  struct Mark {
    uint64_t position = 0;
    uint32_t chain = 0;
  };
  struct Checkpoint {
    Mark from;          // the first record that the tree's file may lack
    std::string pages;  // empty: the file is whole as it is, and no record follows
    // Of a file that is whole and was closed: what its first pages were then. Empty: they may say
    // anything, as where a version closed it that didn't note them.
    std::string closed;
  };

  static constexpr size_t kMaxPagesBytes = size_t{2} << 10;
  static constexpr int64_t kRingStart = int64_t{16} << 10;  // in the file
  static constexpr uint64_t kRingBytes = uint64_t{64} << 20;
  static constexpr size_t kMaxRecordBytes = size_t{8} << 20;

  // Opens the log, or makes one, with mode 0600, whose checkpoint has no pages. DataLoss if it is
  // no log, or damaged; FailedPrecondition if it is of another version.
  static base::StatusOr<std::unique_ptr<Wal>> Open(const std::string& path);
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;
  ~Wal();

  // The newest when the log was opened.
  const Checkpoint& opened() const { return opened_; }

  // Calls `apply` with the records since that checkpoint, in their order. Once, before Append.
  base::Status Replay(absl::FunctionRef<base::Status(std::string_view)> apply);

  // What is left of a damaged log. Writes nothing.
  struct Remains {
    std::optional<Checkpoint> checkpoint;  // nothing: none can be read, and so no record
    std::vector<std::string> records;      // since it, in their order
    std::vector<uint64_t> unreadable;      // where records stood that can't be read any more
  };
  static base::StatusOr<Remains> Salvage(const std::string& path);

  // Where the next record will be.
  const Mark& end() const { return end_; }
  // Whether a record of so many bytes overwrites none that the last checkpoint needs.
  bool Fits(size_t bytes) const;
  // Bytes since the last checkpoint.
  uint64_t pending() const { return end_.position - kept_.load(std::memory_order_relaxed); }

  // Durable when it returns OK. ResourceExhausted if the disk is full: then the record isn't there.
  // After another error nobody knows.
  base::Status Append(std::string_view record);
  // Whoever waits for the record that was appended last is about to be told that it is there: from
  // now on it is damage if it can't be read.
  base::Status Seal();
  // Removes the record that was appended last, durably. It has no seal yet.
  base::Status TakeBack();

  // Makes this the checkpoint, durably. What stands before it may be forgotten.
  base::Status Keep(const Checkpoint& checkpoint);

 private:
  enum class Kind : uint32_t { kChanges = 0, kSeal = 1 };
  struct Record {
    uint32_t crc = 0;
    uint32_t chain = 0;
    Kind kind = Kind::kChanges;
    std::string bytes;
  };

  Wal(std::string path, int file, int head) : path_(std::move(path)), file_(file), head_(head) {}
  static base::StatusOr<std::unique_ptr<Wal>> Make(const std::string& path);
  base::Status Load();
  // Makes the newest checkpoint that can be read the one that was opened.
  base::Status ReadCheckpoint();
  base::Status Fill(uint64_t bytes);
  base::Status PutCheckpoint(const Checkpoint& checkpoint, uint64_t generation);
  base::Status Sync(int file) const;
  // As it stands in the file behind what was appended last, and its crc.
  std::string Framed(Kind kind, uint64_t position, std::string_view bytes, uint32_t& crc) const;
  base::StatusOr<std::optional<Record>> ReadAt(uint64_t position) const;
  bool Follows(const std::optional<Record>& record) const;
  // Goes to the end of the record that comes next. False if there is none, or none that is whole.
  base::StatusOr<bool> Next(Record& record);
  // Where the first whole record stands behind an unreadable one.
  base::StatusOr<std::optional<uint64_t>> FindBehind(uint64_t position) const;
  base::Status Failed(std::string_view what) const;

  const std::string path_;
  const int file_;
  // The same file, for checkpoints: of two syncs at once through one descriptor only one hears of
  // an error (Linux, errseq_check_and_advance).
  const int head_;
  uint32_t salt_ = 0;
  uint64_t generation_ = 0;  // of the newest checkpoint
  Checkpoint opened_;
  uint64_t filled_ = 0;  // so many bytes of the ring exist in the file
  Mark end_;
  Mark before_last_;
  std::atomic<uint64_t> kept_ = 0;  // the position of the newest checkpoint
};

}  // namespace strata::engine::tree
