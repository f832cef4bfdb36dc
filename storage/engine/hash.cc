#include "storage/engine/hash.h"

#include <string_view>

namespace strata::engine {
namespace {

// FNV-1a (draft-eastlake-fnv), 64 bits.
class Fnv {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes) {
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
  }
  uint32_t Folded() const { return static_cast<uint32_t>(state_ ^ state_ >> 32); }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace

base::StatusOr<uint32_t> HashHistory(const View& view, Revision at) {
  Fnv hash;
  STRATA_RETURN_IF_ERROR(
      view.History(0, [&](const ChangeRef& change, bool) -> base::StatusOr<bool> {
        if (base::Status way = view.GiveWay(); !way.ok()) return way;
        if (change.at.revision > at) return false;
        if (change.at.revision < view.compacted()) {
          // Forgotten, even if it is still there, unless it is what a read at the compacted
          // revision finds.
          if (change.record.kind == Kind::kTombstone) return true;
          STRATA_ASSIGN_OR_RETURN(const Revision live,
                                  view.NewestRevision(change.record.key, view.compacted()));
          if (live != change.at.revision) return true;
        }
        hash.Add(HistoryKey(change.at));
        hash.Add(EncodeHistory(change.record));
        return true;
      }));
  return hash.Folded();
}

}  // namespace strata::engine
