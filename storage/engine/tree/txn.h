// One transaction on the tables.
//
// Bytes that come out of a transaction point into the map: valid until the transaction ends, and in
// a write transaction until its next write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/redo.h"
#include "storage/engine/tree/table.h"

struct MDB_txn;

namespace strata::engine::tree {

class Environment;
class LmdbFile;

// A snapshot, or the one write transaction. Ends without effect unless committed. Belongs to one
// thread.
class Txn {
 public:
  Txn(Txn&& other) noexcept;
  Txn& operator=(Txn&&) = delete;
  ~Txn();

  base::StatusOr<std::optional<std::string_view>> Get(Table table, std::string_view key) const;

  // Without a checksum, to be read by any version of this program: the number of the format.
  base::StatusOr<std::optional<std::string_view>> GetBare(Table table, std::string_view key) const;
  base::Status PutBare(Table table, std::string_view key, std::string_view value);

  // Those of a write transaction. `Append` is Put for a key that is greater than all in the table.
  base::Status Put(Table table, std::string_view key, std::string_view value);
  base::Status Append(Table table, std::string_view key, std::string_view value);
  base::Status Delete(Table table, std::string_view key);  // fine if there is none
  // Durable when it returns OK. After an error nothing of it is visible, now or later.
  base::Status Commit();

  // Why the last call failed: the map has no room left (Environment::Grow helps), or the disk has
  // none.
  bool map_full() const { return map_full_; }
  bool disk_full() const { return disk_full_; }

  // Aborted if somebody waits until all snapshots have ended; whoever wants one waits for him then.
  // Who reads for long asks between two records, and begins again with another snapshot.
  base::Status GiveWay() const;

  // DataLoss if something couldn't be read since it began: what was copied from it isn't to be
  // believed.
  base::Status Whole() const;

 private:
  friend class Environment;
  friend class Cursor;
  Txn(Environment& env, const LmdbFile& file, MDB_txn* txn, bool write);
  base::Status Failed(int code, const char* what);
  base::Status PutChecked(Table table, std::string_view key, std::string_view value,
                          unsigned flags);
  void Note(RedoOp::Kind kind, Table table, std::string_view key, std::string_view value);

  Environment* env_;
  const LmdbFile* file_;
  MDB_txn* txn_;
  bool write_;
  bool map_full_ = false;
  bool disk_full_ = false;
  uint64_t faults_ = 0;  // when it began
  size_t changes_ = 0;
  std::string redo_;  // not continued when it is too large for the log
};

}  // namespace strata::engine::tree
