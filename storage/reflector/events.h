// What the reflector tells its consumer: the records of the backend as one ordered history.
#pragma once

#include <string>
#include <vector>

#include "lib/base/revision.h"
#include "storage/records/record.h"

namespace strata::reflector {

// All changes of one revision. A record that was deleted has only its id; one that can't be read
// says why.
struct Batch {
  base::Revision revision = 0;
  std::vector<records::Change> changes;  // in the order of the transaction; at most one per key
};

// Called one call at a time, on the reflector's thread, but for ListPage and needs_list.
class Consumer {
 public:
  virtual ~Consumer() = default;

  // A fresh list begins. What the consumer holds stays visible until EndList, at its old revision.
  virtual void BeginList() = 0;
  // A page of the list. Records of all pages are of one revision; pages come in any order, from
  // several threads at a time, and all of them have returned before EndList or AbortList is called.
  virtual void ListPage(const std::vector<records::Change>& page) = 0;
  // The list is complete: what it didn't hold no longer exists. `revision` may be lower than the
  // one before, if the backend was restored from a snapshot.
  virtual void EndList(base::Revision revision) = 0;
  // The list failed half-way; BeginList comes again later.
  virtual void AbortList() = 0;

  // The changes of revisions that follow the last one, oldest first; then the backend is known to
  // be at `revision` (at least the last batch's: progress notifications move it without changes).
  virtual void Apply(const std::vector<Batch>& batches, base::Revision revision) = 0;

  // What it was told is lost, by a full disk perhaps, and can be held again: list anew. Asked every
  // few seconds at least, whatever is told, perhaps by another thread.
  virtual bool needs_list() { return false; }
};

}  // namespace strata::reflector
