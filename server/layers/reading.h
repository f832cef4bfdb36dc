// What a query reads: everything that the index knew at one revision. Any thread, without a lock.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "server/layers/answer.h"
#include "server/layers/name_table.h"
#include "server/layers/snapshot.h"

namespace strata::layers {

struct Reading {
  Snapshot records;
  const NameTable& names;
  const WellKnown& known;
  // Images, layers and children of lists that one object may reach.
  size_t max_entries;
  // That nobody waits any more, which is looked at now and then: kCancelled.
  std::stop_token stop;

  std::string Text(NameId name) const { return names.Text(name); }
};

// The stream and all that it reaches. kDataLoss: why it can't be read.
base::StatusOr<Gathered> Gather(const Reading& reading, const StreamPointer& stream);

// "namespace" of "namespace/name".
inline std::string_view NamespaceOf(const StreamEntry& stream) {
  return stream.key().substr(0, stream.key().find('/'));
}
inline std::string_view NameOf(const StreamEntry& stream) {
  return stream.key().substr(stream.key().find('/') + 1);
}

}  // namespace strata::layers
