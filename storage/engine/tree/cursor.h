// One table in the order of its keys.
#pragma once

#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/table.h"
#include "storage/engine/tree/txn.h"

struct MDB_cursor;

namespace strata::engine::tree {

class LmdbFile;

// Walks one table in key order. Ends before its transaction does; a write makes its key and value
// stale until it is moved.
class Cursor {
 public:
  Cursor(const Txn& txn, Table table);
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor();

  void Seek(std::string_view key);  // the first at or after it
  void Find(std::string_view key);  // this one, or none
  void First();
  void Last();
  void Next();
  void Prev();

  // False at either end and after an error.
  bool valid() const { return valid_; }
  // After an error that of the entry whose checksum is wrong, or none.
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  const base::Status& status() const { return status_; }

 private:
  void Move(int op, std::string_view to);

  const LmdbFile& file_;
  MDB_cursor* cursor_ = nullptr;
  const Table table_;
  bool valid_ = false;
  std::string_view key_;
  std::string_view value_;
  base::Status status_;
};

}  // namespace strata::engine::tree
