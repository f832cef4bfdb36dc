#include "storage/engine/tree/cursor.h"

#include <lmdb.h>

#include <cstddef>

#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/lmdb_file.h"
#include "storage/engine/tree/lmdb_terms.h"

namespace strata::engine::tree {

Cursor::Cursor(const Txn& txn, Table table) : file_(*txn.file_), table_(table) {
  const int code = mdb_cursor_open(txn.txn_, txn.file_->table(table), &cursor_);
  if (code != 0) status_ = Error(code, "opening a cursor");
}

Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

void Cursor::Move(int op, std::string_view to) {
  valid_ = false;
  if (cursor_ == nullptr || !status_.ok()) return;
  MDB_val k = Value(to);
  key_ = {};
  MDB_val v{};
  const int code = mdb_cursor_get(cursor_, &k, &v, static_cast<MDB_cursor_op>(op));
  if (code == 0) {
    key_ = View(k);
    const auto value = file_.Verified(table_, key_, View(v));
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

}  // namespace strata::engine::tree
