#include "storage/engine/tree/lmdb_terms.h"

#include <fmt/format.h>

#include "storage/engine/tree/disk.h"

namespace strata::engine::tree {

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

}  // namespace strata::engine::tree
