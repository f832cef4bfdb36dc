// What one revision changed, told to who observes the index.
#pragma once

#include <vector>

#include "lib/base/revision.h"
#include "server/layers/entry.h"
#include "server/layers/name_table.h"
#include "server/layers/snapshot.h"

namespace strata::layers {

// Of what came there is nothing before, of what went nothing now.
struct ImageStep {
  NameId name;
  ImagePointer before, now;
  // Whether a stream or a list may name it. What is new is named by nobody yet, most times.
  bool may_be_named;
  // Whether others may begin with its layers.
  bool may_be_base;
};
struct StreamStep {
  StreamPointer before, now;
};

// Images whose layers, config or children are others, and streams that were written.
struct Step {
  base::Revision revision;
  Snapshot before, now;
  std::vector<ImageStep> images;
  std::vector<StreamStep> streams;
};

// Called on the index's writer's thread; mustn't wait. What it is told of isn't told to requests
// yet.
class Observer {
 public:
  virtual ~Observer() = default;
  // All is new, and what was told before is of another history.
  virtual void Listed(const Snapshot& now) = 0;
  virtual void Changed(Step step) = 0;
  // Nothing else has changed up to `revision`.
  virtual void Advanced(base::Revision revision) = 0;
};

}  // namespace strata::layers
